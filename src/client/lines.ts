const longestLine = 64 * 1024 * 1024;

/** The lines of a streamed text, without their ends. Throws when the stream breaks off or a line has no end within 64 MiB. */
export async function* lines(response: Response): AsyncIterable<string> {
  if (response.body === null) return;
  const decoder = new TextDecoder();
  let pending: string[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    const text = decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      yield pending.join('') + text.slice(start, end);
      pending = [];
      length = 0;
      start = end + 1;
    }
    if (start < text.length) pending.push(text.slice(start));
    length += text.length - start;
    if (length > longestLine) throw new Error('a line of the stream is longer than 64 MiB');
  }
  const rest = pending.join('') + decoder.decode();
  if (rest !== '') yield rest;
}
