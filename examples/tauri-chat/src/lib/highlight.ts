/** A little colour for code: comments, strings, numbers and words of the language. Not a parser. */
export type Piece = { kind: 'comment' | 'string' | 'number' | 'keyword' | null; text: string };

const WORDS: Record<string, string> = {
  c: 'auto bool break case catch char class const constexpr continue default delete do double else enum extern false final float for func fn go if impl import in inline int interface let long loop match mod mut namespace new nil null nullptr package private protected pub public return self short signed sizeof static struct super switch template this throw trait true try type typedef typename union unsafe unsigned use using var virtual void volatile where while yield async await export extends from function instanceof of readonly implements undefined defer chan map range select string abstract override val when object fun echo foreach',
  py: 'False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return self try while with yield end do then unless module require match case',
  sh: 'if then else elif fi for in do done while until case esac function return exit export local set unset echo cd source alias sudo',
  sql: 'select from where insert into values update set delete create table drop alter index view join left right inner outer on as and or not null is in like order by group having limit offset union all distinct primary key references default case when then else end begin commit rollback',
};

const FAMILY: Record<string, [words: string, comment: RegExp]> = {};
const LINE = /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y;
const HASH = /#[^\n]*/y;
for (const name of 'c cpp c++ h java js javascript jsx ts typescript tsx rust rs go swift kotlin cs csharp php scala dart zig json jsonc css scss'.split(
  ' ',
))
  FAMILY[name] = ['c', LINE];
for (const name of 'py python rb ruby lua toml yaml yml r julia elixir'.split(' '))
  FAMILY[name] = ['py', HASH];
for (const name of 'sh bash shell zsh fish console dockerfile makefile make'.split(' '))
  FAMILY[name] = ['sh', HASH];
FAMILY.sql = ['sql', /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y];

const STRING = /"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|`(?:\\.|[^`\\])*`?/y;
const NUMBER = /\b(?:0[xob][\da-f_]+|\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?)\w*/iy;
const WORD = /[\p{L}_$][\p{L}\p{N}_$]*/uy;

function take(pattern: RegExp, text: string, at: number): string | null {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? null;
}

export function highlight(code: string, language: string): Piece[] {
  const family = FAMILY[language.toLowerCase()];
  if (!family) return [{ kind: null, text: code }];
  const [list, comment] = family;
  const words = new Set((WORDS[list] ?? '').split(' '));
  const pieces: Piece[] = [];
  let plain = '';
  const push = (kind: Piece['kind'], text: string) => {
    if (plain) pieces.push({ kind: null, text: plain });
    plain = '';
    pieces.push({ kind, text });
  };
  for (let at = 0; at < code.length;) {
    let text = take(comment, code, at);
    if (text) push('comment', text);
    else if ((text = take(STRING, code, at))) push('string', text);
    else if ((text = take(NUMBER, code, at))) push('number', text);
    else if ((text = take(WORD, code, at))) {
      if (words.has(list === 'sql' ? text.toLowerCase() : text)) push('keyword', text);
      else plain += text;
    } else plain += text = code.charAt(at);
    at += text.length;
  }
  if (plain) pieces.push({ kind: null, text: plain });
  return pieces;
}
