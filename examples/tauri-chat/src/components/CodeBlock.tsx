import { useMemo } from 'react';
import { highlight } from '../lib/highlight';
import { CopyButton } from './CopyButton';

export function CodeBlock({ code, language }: { code: string; language: string }) {
  const pieces = useMemo(() => highlight(code, language), [code, language]);
  return (
    <div className="code" data-testid="code-block">
      <div className="code-head">
        <span>{language || 'text'}</span>
        <CopyButton text={code} label="Copy code" />
      </div>
      <pre tabIndex={0} aria-label={language ? `Code, ${language}` : 'Code'} role="group">
        <code>
          {pieces.map((piece, i) =>
            piece.kind === null ? (
              piece.text
            ) : (
              <span key={i} className={`hl-${piece.kind}`}>
                {piece.text}
              </span>
            ),
          )}
        </code>
      </pre>
    </div>
  );
}
