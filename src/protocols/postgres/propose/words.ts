const folded: Readonly<Record<string, string>> = { ä: 'ae', ö: 'oe', ü: 'ue', ß: 'ss', ø: 'oe', æ: 'ae', å: 'aa' };

/**
 * The words of a name, lower case and in ASCII, between single underscores: `homeAddress2` and `HOME-ADDRESS 2` are
 * `_home_address_2_`, `Straße` is `_strasse_`. A word that only marks what kind of thing a column is keeps its place.
 */
export function wordsOf(name: string): string {
  const words = name
    .slice(0, 200)
    .replace(/(\p{Ll}|\p{N})(\p{Lu})/gu, '$1_$2')
    .replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1_$2')
    .toLowerCase()
    .replace(/[äöüßøæå]/g, (letter) => folded[letter] ?? letter)
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/([a-z])(\d)/g, '$1_$2')
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
  return `_${words.join('_')}_`;
}
