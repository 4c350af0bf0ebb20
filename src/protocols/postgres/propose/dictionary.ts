import type { ValueType } from './value-type.ts';

/** What a name that holds one of `names` suggests. */
export interface Meaning {
  readonly classification: string;
  /** What it is called in reasons, in the plural. */
  readonly things: string;
  /** How sure the name alone is, 0 to 1. */
  readonly confidence: number;
  /** Types that such a thing is kept in. */
  readonly types: readonly ValueType[];
  /**
   * Words of `wordsOf` that follow one another, with blanks between; written as one word they count as well. A star in front stands
   * for the beginning of a longer word, as in *kontonummer; one behind for its end.
   */
  readonly names: readonly string[];
  /** Only where the table's name says that it is about people. */
  readonly ofPeople?: true;
}

const textual = ['text'] as const;
const numbered = ['text', 'number'] as const;
const dated = ['date', 'instant', 'text', 'number'] as const;

function listed(names: string): readonly string[] {
  return names.split(',').map((name) => name.trim());
}

/** The more special ones first: the first that fits is taken. English, German, French, Spanish, Italian, Portuguese, Dutch. */
export const dictionary: readonly Meaning[] = [
  {
    classification: 'secret.password',
    things: 'passwords',
    confidence: 0.95,
    types: ['text', 'bytes'],
    names: listed(`
      password, passwd, pwd, passphrase, password hash, pw hash, encrypted password, passwort, *passwort, kennwort,
      *kennwort, mot de passe, mdp, contrasena, contrasenia, clave de acceso, senha, wachtwoord, parola chiave,
      hashed pw`),
  },
  {
    classification: 'secret.private_key',
    things: 'private keys',
    confidence: 0.95,
    types: ['text', 'bytes'],
    names: listed(
      'private key, priv key, secret key, signing key, ssh key, pgp key, privater schluessel, seed phrase, mnemonic',
    ),
  },
  {
    classification: 'secret.key',
    things: 'keys',
    confidence: 0.95,
    types: ['text', 'bytes'],
    names: listed(`
      api key, app key, access key, client secret, api secret, webhook secret, totp secret, otp secret, mfa secret,
      encryption key, recovery code*, backup code*, secret, geheimnis, credentials, connection string, dsn`),
  },
  {
    classification: 'secret.token',
    things: 'tokens',
    confidence: 0.9,
    types: ['text', 'bytes', 'other'],
    names: listed(`
      access token, refresh token, auth token, session token, reset token, id token, bearer token, api token,
      remember token, csrf token, device token, push token, verification token, invite token, session key, jwt, otp,
      token`),
  },
  {
    classification: 'pci.cvv',
    things: 'card verification codes',
    confidence: 0.95,
    types: numbered,
    names: listed(
      'cvv, cvc, cvv 2, cvc 2, card verification*, security code, kartenpruefnummer, pruefziffer karte, cryptogramme',
    ),
  },
  {
    classification: 'pci.pan',
    things: 'payment cards',
    confidence: 0.9,
    types: numbered,
    names: listed(`
      card number, card no, card num, cc number, cc num, cc no, ccn, credit card, creditcard number, debit card, pan,
      payment card, kreditkarte*, *kreditkartennummer, kartennummer, *kartennummer, carte bancaire, numero carte,
      numero de carte, numero tarjeta, tarjeta de credito, numero cartao, kaartnummer`),
  },
  {
    classification: 'pii.iban',
    things: 'bank accounts',
    confidence: 0.95,
    types: numbered,
    names: listed(`
      iban, bank account*, account number, account no, acct number, acct no, routing number, sort code, kontonummer,
      *kontonummer, kontonr, bankverbindung, bankleitzahl, numero de compte, cuenta bancaria, rekeningnummer,
      conto corrente, conta bancaria`),
  },
  {
    classification: 'pii.ssn',
    things: 'social security numbers',
    confidence: 0.95,
    types: numbered,
    names: listed(`
      ssn, social security*, sin number, social insurance*, national insurance*, nino, sozialversicherungsnummer,
      *sozialversicherungsnummer, sozialversicherungsnr, sv nummer, svnr, sv nr, rentenversicherungsnummer,
      ahv nummer, ahv nr, numero de securite sociale, numero securite sociale, securite sociale, nir,
      seguridad social, nss, burgerservicenummer, bsn, codice fiscale, cpf, dni, nie, curp, pesel, personnummer,
      aadhaar, aadhar, national id, nationalid, national identification*, citizen id`),
  },
  {
    classification: 'pii.tax_id',
    things: 'tax numbers',
    confidence: 0.9,
    types: numbered,
    names: listed(`
      tax id, tax number, tax no, taxpayer id, itin, steuernummer, steuernr, steuer id, steuer idnr,
      steueridentifikationsnummer, steuer identifikationsnummer, idnr, numero fiscal, nif, rfc fiscal, partita iva`),
  },
  {
    classification: 'pii.passport',
    things: 'identity papers',
    confidence: 0.9,
    types: numbered,
    names: listed(`
      passport, passport number, passport no, reisepass*, passnummer, personalausweis*, ausweisnummer,
      *ausweisnummer, passeport, pasaporte, paspoort, id card number, identity card, driver license, drivers license,
      driver licence, driving licence, driving license, license number, dl number, fuehrerschein*,
      permis de conduire, visa number`),
  },
  {
    classification: 'pii.email',
    things: 'e-mail addresses',
    confidence: 0.9,
    types: textual,
    names: listed(`
      email, e mail, email address, mail address, mailadresse, emailadresse, mail, courriel, correo,
      correo electronico, posta elettronica`),
  },
  {
    classification: 'pii.ip',
    things: 'network addresses',
    confidence: 0.8,
    types: ['text', 'network'],
    names: listed(`
      ip, ip address, ipv 4, ipv 6, ipaddress, ipadresse, ipaddr, ip addr, remote addr, client ip, adresse ip,
      ip adresse, mac address`),
  },
  {
    classification: 'pii.phone',
    things: 'telephone numbers',
    confidence: 0.9,
    types: numbered,
    names: listed(`
      phone, telephone, phone number, phone no, mobile, mobile number, mobile no, cellphone, fax, msisdn, telefon,
      telefonnummer, *telefonnummer, telefonnr, tel, tel nr, rufnummer, handynummer, mobilnummer, mobiltelefon,
      faxnummer, telefono, celular, movil, telefone, telefoon, telefoonnummer, whatsapp`),
  },
  {
    classification: 'pii.birth_place',
    things: 'places of birth',
    confidence: 0.8,
    types: textual,
    names: listed(
      'birth place, place of birth, birth city, birth country, country of birth, geburtsort, lieu de naissance',
    ),
  },
  {
    classification: 'pii.birth_date',
    things: 'dates of birth',
    confidence: 0.9,
    types: dated,
    names: listed(`
      birth date, birthdate, birthday, birth day, birth, date of birth, dob, born, born on, year of birth,
      birth year, geburtsdatum, *geburtsdatum, geburtstag, geburtsjahr, geb datum, gebdat, geboren, geboren am,
      date de naissance, naissance, fecha de nacimiento, nacimiento, data di nascita, data de nascimento, nascimento,
      geboortedatum`),
  },
  {
    classification: 'hr.salary',
    things: 'salaries',
    confidence: 0.9,
    types: ['number', 'text', 'bytes'],
    names: listed(`
      salary, wage, wages, compensation, annual income, income, net worth, bonus amount, gehalt, *gehalt,
      bruttogehalt, nettogehalt, lohn, stundenlohn, monatslohn, jahreslohn, einkommen, salaire, salario, sueldo,
      stipendio, salaris, remuneration`),
  },
  {
    classification: 'phi.health',
    things: 'health data',
    confidence: 0.85,
    types: ['text', 'number', 'document', 'bytes', 'flag'],
    names: listed(`
      diagnosis, diagnoses, diagnostic code, icd, icd 10, icd code, medication, medications, prescription, allergies,
      allergy, blood type, blood group, medical record, medical history, mrn, patient notes, disability, pregnant,
      hiv status, vaccination, treatment, symptoms, health insurance*, insurance member id, diagnose, diagnosen,
      befund, medikament, medikamente, medikation, allergien, blutgruppe, krankheit, vorerkrankungen, behinderung,
      krankenversicherungsnummer, versichertennummer, krankenkasse, diagnostico, maladie, groupe sanguin, enfermedad,
      diagnosi`),
  },
  {
    classification: 'pii.special',
    things: 'especially protected facts',
    confidence: 0.8,
    types: ['text', 'number', 'flag'],
    names: listed(`
      religion, religious, ethnicity, ethnic origin, sexual orientation, political party, political view*,
      trade union, union member, konfession, religionszugehoerigkeit, ethnische herkunft, gewerkschaft,
      sexuelle orientierung, genetic*, fingerprint template, biometric*`),
  },
  {
    classification: 'pii.location',
    things: 'places where somebody was',
    confidence: 0.6,
    types: ['text', 'number', 'other'],
    names: listed(`
      latitude, longitude, lat, lng, gps, geolocation, geo location, last location, home location, breitengrad,
      laengengrad`),
    ofPeople: true,
  },
  {
    classification: 'pii.address',
    things: 'postal addresses',
    confidence: 0.8,
    types: ['text', 'document'],
    names: listed(`
      street, street name, strassenname, street address, postal address, home address, billing address,
      shipping address, mailing address, delivery address, address line, address, addr, strasse, hausnummer,
      anschrift, *anschrift, adresse, wohnadresse, lieferadresse, rechnungsadresse, postadresse, privatadresse,
      wohnort, rue, calle, direccion, domicilio, indirizzo, endereco, straat, adres`),
  },
  {
    classification: 'pii.address',
    things: 'postal addresses',
    confidence: 0.55,
    types: numbered,
    names: listed(`
      zip, zip code, zipcode, postal code, postcode, post code, plz, postleitzahl, code postal, codigo postal, cap,
      city, town, ort, stadt, ville, ciudad`),
    ofPeople: true,
  },
  {
    classification: 'pii.name',
    things: "people's names",
    confidence: 0.8,
    types: textual,
    names: listed(`
      first name, last name, middle name, full name, given name, family name, surname, maiden name, forename,
      birth name, legal name, cardholder*, card holder, account holder, fname, lname, vorname, nachname,
      familienname, geburtsname, zuname, karteninhaber, kontoinhaber, prenom, nom de famille, nombre completo,
      apellido, apellidos, cognome, sobrenome, voornaam, achternaam, mother maiden, mother maiden name,
      cardholder name, card holder name, account holder name, contact name, patient name, customer name,
      employee name, ansprechpartner`),
  },
  {
    classification: 'pii.name',
    things: "people's names",
    confidence: 0.6,
    types: textual,
    names: listed('name, nom, nombre, naam, nome'),
    ofPeople: true,
  },
  {
    classification: 'pii.gender',
    things: 'genders',
    confidence: 0.55,
    types: ['text', 'number'],
    names: listed(`
      gender, sex, geschlecht, anrede, marital status, familienstand, nationality, staatsangehoerigkeit, nationalite,
      genero`),
    ofPeople: true,
  },
  {
    classification: 'pii.phone',
    things: 'telephone numbers',
    confidence: 0.7,
    types: numbered,
    names: listed('cell, handy, portable'),
    ofPeople: true,
  },
  {
    classification: 'pii.special',
    things: 'especially protected facts',
    confidence: 0.7,
    types: textual,
    names: listed('race'),
    ofPeople: true,
  },
  {
    classification: 'pii.tax_id',
    things: 'tax numbers',
    confidence: 0.7,
    types: numbered,
    names: listed('tin'),
    ofPeople: true,
  },
  {
    classification: 'pii.signature',
    things: 'signatures and pictures of people',
    confidence: 0.6,
    types: ['text', 'bytes'],
    names: listed('signature image, unterschrift, passport photo, passfoto, face image, portrait photo'),
  },
];

/** Tables about people. */
export const peopleWords =
  /_(users?|people|persons?|customers?|clients?|patients?|employees?|staff|members?|contacts?|subscribers?|applicants?|candidates?|guests?|tenants?|students?|drivers?|profiles?|kunden?|personen|person|patienten?|mitarbeiter|angestellte|mitglieder|benutzer|nutzer|bewerber|kontakte?|ansprechpartner|personal|teilnehmer|schueler|mieter|versicherte|clientes?|personnes?|utilisateurs?|usuarios?|empleados?|personas?|klanten|gebruikers?|medewerkers?|clienti|utenti|pessoas?)_/;

/** A name that ends so tells about the thing, and does not hold it: `email_verified_at`, `password_policy`. */
export const aboutWords =
  /_(verified|confirmed|validated|valid|enabled|disabled|required|expires?|expiry|expiration|expired|changed|updated|created|deleted|sent|at|on|count|counter|total|length|type|kind|status|state|flag|format|template|templates|policy|version|attempts|retries|label|labels|provider|domain|server|account|name|names|group|view|url|link|subject|body|hint|reason|priority|preference|preferences|opt_?in|opt_?out|allowed|currency|geaendert|anzahl|status|typ|art|laenge|gueltig|bestaetigt|ablaufdatum)_$/;

/** A name that begins so asks a question, and holds its answer. */
export const questionWords = /^_(is|has|can|use|uses|needs|needs|should|num|number_of|count|anzahl|ist|hat|darf)_/;
