/** A policy file as it was read. */
export interface PolicyFile {
  /** Path below the policy folder. */
  readonly file: string;
  readonly text: string;
}

export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** Where one policy lies in its file: UTF-16 offsets, without the blanks and comments in front of it. */
export interface PolicySpan {
  readonly start: number;
  readonly end: number;
}

/**
 * What a policy text may hold before it meets the parser. Cedar's parser recurses, and its WebAssembly stack is small: 200 nested
 * parentheses, 1,000 nested ifs or 4,000 chained operators end the instance for good (measured with 4.13.0).
 */
export const textLimits = {
  fileBytes: 256 * 1024,
  folderBytes: 1024 * 1024,
  files: 200,
  policies: 1000,
  nesting: 64,
  ifs: 64,
  operators: 500,
} as const;

/**
 * Finds the policies of a file by its tokens alone (strings, `//` comments, brackets, `;`), and refuses what could exhaust the
 * parser. Linear in the text, recurses nowhere.
 */
export function scanPolicies({ file, text }: PolicyFile): {
  spans: readonly PolicySpan[];
  problems: readonly Problem[];
} {
  const problem = (at: number, message: string): Problem => ({ file, line: lineAt(text, at), message });
  if (Buffer.byteLength(text) > textLimits.fileBytes) {
    return { spans: [], problems: [problem(0, `the file is larger than ${textLimits.fileBytes} bytes`)] };
  }
  const spans: PolicySpan[] = [];
  const problems: Problem[] = [];
  let start = -1;
  let depth = 0;
  let ifs = 0;
  let operators = 0;
  const token = /\/\/[^\n]*|"(?:[^"\\]|\\[\s\S])*"|"|[A-Za-z_][A-Za-z0-9_]*|&&|\|\||[^\s]/g;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [word] = match;
    if (word.startsWith('//')) continue;
    if (start < 0) start = match.index;
    if (word === '"') return { spans, problems: [problem(match.index, 'a string is not closed')] };
    if (word === '(' || word === '[' || word === '{') depth++;
    else if (word === ')' || word === ']' || word === '}') depth--;
    else if (word === 'if') ifs++;
    else if (/^(?:&&|\|\||[-+*.!])$/.test(word)) operators++;
    if (depth > textLimits.nesting)
      return { spans, problems: [problem(match.index, `nested deeper than ${textLimits.nesting}`)] };
    if (ifs > textLimits.ifs)
      return { spans, problems: [problem(match.index, `more than ${textLimits.ifs} ifs in one policy`)] };
    if (operators > textLimits.operators) {
      return { spans, problems: [problem(match.index, `more than ${textLimits.operators} operators in one policy`)] };
    }
    if (word === ';') {
      spans.push({ start, end: match.index + 1 });
      start = -1;
      depth = 0;
      ifs = 0;
      operators = 0;
    }
  }
  if (start >= 0) problems.push(problem(start, 'a policy ends with ;'));
  return { spans, problems };
}

/** The 1-based line of a UTF-16 offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}

export function describeProblem({ file, line, message }: Problem): string {
  return `${file}:${line}: ${message}`;
}
