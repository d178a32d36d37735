import { openUrl } from '@tauri-apps/plugin-opener';
import type { MarkedToken, Token, Tokens } from 'marked';
import { memo, useMemo, type MouseEvent, type ReactNode } from 'react';
import { blocks, decode, safeLink } from '../lib/markdown';
import { CodeBlock } from './CodeBlock';

/** Markdown as elements. What looks like HTML is shown as the text it is. */
export function Markdown({ text }: { text: string }) {
  const tokens = useMemo(() => blocks(text), [text]);
  return (
    <div className="markdown">
      {tokens.map((token, i) => (
        <Block key={i} token={token} />
      ))}
    </div>
  );
}

/** While a text grows only its last block changes; the others are not drawn again. */
const Block = memo(
  ({ token }: { token: Token }) => render(token),
  (a, b) => a.token.type === b.token.type && a.token.raw === b.token.raw,
);
Block.displayName = 'Block';

function all(tokens: Token[] | undefined): ReactNode {
  return tokens?.map((token, i) => <Part key={i} token={token} />);
}

function Part({ token }: { token: Token }): ReactNode {
  return render(token);
}

function render(raw: Token): ReactNode {
  const token = raw as MarkedToken;
  switch (token.type) {
    case 'paragraph':
      return <p>{all(token.tokens)}</p>;
    case 'heading':
      return heading(token);
    case 'code':
      return <CodeBlock code={token.text} language={token.lang?.split(/\s/)[0] ?? ''} />;
    case 'blockquote':
      return <blockquote>{all(token.tokens)}</blockquote>;
    case 'list':
      return list(token);
    case 'table':
      return table(token);
    case 'hr':
      return <hr />;
    case 'strong':
      return <strong>{all(token.tokens)}</strong>;
    case 'em':
      return <em>{all(token.tokens)}</em>;
    case 'del':
      return <del>{all(token.tokens)}</del>;
    case 'codespan':
      return <code>{token.text}</code>;
    case 'br':
      return <br />;
    case 'link':
      return <Link href={token.href}>{all(token.tokens)}</Link>;
    case 'image':
      // Loading it would tell a server that this text was read.
      return <Link href={token.href}>{token.text || token.href}</Link>;
    case 'escape':
      return token.text;
    case 'checkbox':
      return <CheckBox checked={token.checked} />;
    case 'html':
      return token.raw;
    case 'text':
      return 'tokens' in token ? all(token.tokens) : decode(token.text);
    default:
      return raw.raw;
  }
}

function heading({ depth, tokens }: Tokens.Heading): ReactNode {
  const Tag = (['h2', 'h2', 'h3', 'h4', 'h5'] as const)[depth - 1] ?? 'h6';
  return <Tag>{all(tokens)}</Tag>;
}

function CheckBox({ checked }: { checked: boolean }) {
  const label = checked ? 'done' : 'not done';
  return <input type="checkbox" checked={checked} readOnly disabled aria-label={label} />;
}

function list(token: Tokens.List): ReactNode {
  const items = token.items.map((item, i) => (
    <li key={i} className={item.task ? 'task' : undefined}>
      {all(item.tokens)}
    </li>
  ));
  return token.ordered ? (
    <ol start={token.start === '' ? 1 : token.start}>{items}</ol>
  ) : (
    <ul>{items}</ul>
  );
}

function table(token: Tokens.Table): ReactNode {
  const cell = (c: Tokens.TableCell) => ({
    className: c.align ? `align-${c.align}` : undefined,
    children: all(c.tokens),
  });
  return (
    <div className="table" tabIndex={0} role="group" aria-label="Table">
      <table>
        <thead>
          <tr>
            {token.header.map((c, i) => (
              <th key={i} {...cell(c)} />
            ))}
          </tr>
        </thead>
        <tbody>
          {token.rows.map((row, i) => (
            <tr key={i}>
              {row.map((c, j) => (
                <td key={j} {...cell(c)} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Opens in the browser of the system: the window of the app never leaves its page. */
function Link({ href, children }: { href: string; children: ReactNode }) {
  const address = safeLink(href);
  if (address === null) return <span title={href}>{children}</span>;
  const open = (event: MouseEvent) => {
    event.preventDefault();
    void openUrl(address);
  };
  return (
    <a href={address} title={address} onClick={open} onAuxClick={open} rel="noreferrer">
      {children}
    </a>
  );
}
