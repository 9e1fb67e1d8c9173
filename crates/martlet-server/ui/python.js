// Colours for Python: a tokenizer that knows just enough to tell words, texts, numbers and comments apart.

const TOKEN = new RegExp([
  String.raw`(?<comment>#[^\n]*)`,
  String.raw`(?<text>[rbfuRBFU]{0,2}(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))`,
  String.raw`(?<number>\b(?:0[xXoObB][\da-fA-F_]+|\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?j?)\b)`,
  String.raw`(?<decorator>^[ \t]*@[\w.]+)`,
  String.raw`(?<word>[A-Za-z_]\w*)`,
].join('|'), 'gm');

const KEYWORDS = new Set(('False None True and as assert async await break case class continue def del elif else except finally for '
  + 'from global if import in is lambda match nonlocal not or pass raise return try while with yield').split(' '));
const LONGEST = 60_000;

/** Fills the element with the program. */
export function paint(element, program) {
  if (program.length > LONGEST) {
    element.textContent = program;
    return;
  }
  const parts = [];
  let end = 0;
  for (const match of program.matchAll(TOKEN)) {
    const kind = kindOf(match, program);
    if (!kind) continue;
    if (match.index > end) parts.push(program.slice(end, match.index));
    const span = document.createElement('span');
    span.className = `py-${kind}`;
    span.textContent = match[0];
    parts.push(span);
    end = match.index + match[0].length;
  }
  parts.push(program.slice(end));
  element.replaceChildren(...parts);
}

function kindOf(match, program) {
  const { comment, text, number, decorator, word } = match.groups;
  if (comment !== undefined) return 'comment';
  if (text !== undefined) return 'text';
  if (number !== undefined) return 'number';
  if (decorator !== undefined) return 'decorator';
  if (KEYWORDS.has(word)) return 'keyword';
  return program[match.index + word.length] === '(' ? 'call' : null;
}
