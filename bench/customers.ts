/** What is classified in the JSON document; the card numbers in its notes are for the detectors to find. */
export const classified = { '$.customers[*].ssn': 'pii.ssn', '$.customers[*].contact.email': 'pii.contact' } as const;

/** `{"customers":[…]}`: records of about 330 bytes, of which two values are classified; one in 100 has a card number in its note. */
export function customers(bytes: number): Buffer {
  const parts: string[] = [];
  let size = 20;
  for (let n = 0; size < bytes; n++) {
    const digits = String(n).padStart(6, '0');
    const record = JSON.stringify({
      id: n,
      name: `Customer number ${n}`,
      ssn: `${100 + (n % 800)}-${10 + (n % 89)}-${1000 + (n % 9000)}`,
      contact: { email: `customer.${n}@mail.example`, phone: `+49 30 ${digits}` },
      address: { street: `${n % 97} Long Winding Road`, city: 'Springfield', country: 'DE' },
      orders: [n * 7, n * 7 + 1],
      active: n % 3 !== 0,
      note: n % 100 === 0 ? 'pays with 4111 1111 1111 1111' : `left at the door of number ${n % 90}, rang twice`,
    });
    parts.push(record);
    size += record.length + 1;
  }
  return Buffer.from(`{"customers":[${parts.join(',')}]}`);
}
