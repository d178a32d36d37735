import { render, screen } from '@testing-library/react';
import { describe, expect, it } from 'vitest';
import { Markdown } from '../../src/components/Markdown';
import { highlight } from '../../src/lib/highlight';
import { decode, safeLink } from '../../src/lib/markdown';

const html = (text: string) =>
  render(<Markdown text={text} />).container.querySelector('.markdown')?.innerHTML ?? '';

describe('Markdown', () => {
  it('makes elements of the usual marks', () => {
    expect(html('**a** *b* ~~c~~ `d`')).toBe(
      '<p><strong>a</strong> <em>b</em> <del>c</del> <code>d</code></p>',
    );
    expect(html('3. x\n4. y')).toBe('<ol start="3"><li>x</li><li>y</li></ol>');
    expect(html('- a\n\n- b')).toContain('<li><p>a</p></li>');
    expect(html('a  \nb')).toBe('<p>a<br>b</p>');
    expect(html('> q')).toBe('<blockquote><p>q</p></blockquote>');
  });

  it('nests lists and keeps marks inside items', () => {
    expect(html('- a\n  - **b**')).toBe('<ul><li>a<ul><li><strong>b</strong></li></ul></li></ul>');
  });

  it('starts headings at level 2 whatever the text starts with', () => {
    expect(html('### a\n#### b\n# c')).toBe('<h2>a</h2><h3>b</h3><h2>c</h2>');
  });

  it.each([
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    'text <b onclick="x()">bold</b>',
    '<iframe src="https://example.com"></iframe>',
    '<!-- comment -->',
  ])('shows HTML as text: %s', (text) => {
    const { container } = render(<Markdown text={text} />);
    expect(container.querySelector('script, img, b, iframe')).toBeNull();
    expect(container.textContent).toContain(text);
  });

  it.each([
    'javascript:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    'JaVaScRiPt:alert(1)',
    '/relative',
  ])('does not link to %s', (href) => {
    const { container } = render(<Markdown text={`[a](${href})`} />);
    expect(container.querySelector('a')).toBeNull();
    expect(container.textContent).toBe('a');
  });

  it('links to the web, and loads no images', () => {
    const { container } = render(
      <Markdown text="[a](https://example.com) ![b](https://example.com/b.png)" />,
    );
    expect(container.querySelectorAll('a')).toHaveLength(2);
    expect(container.querySelector('img')).toBeNull();
  });

  it('decodes character references once', () => {
    expect(html('a &amp;lt; &mdash; &#65;')).toBe('<p>a &amp;lt; — A</p>');
    expect(html('`&amp;`')).toBe('<p><code>&amp;amp;</code></p>');
    expect(decode('&unknown; &#0; &#xD800; &#x1F600;')).toBe('&unknown; &#0; &#xD800; 😀');
  });

  it('draws an unfinished code block and table', () => {
    const { container } = render(<Markdown text={'```js\nlet x = 1'} />);
    expect(container.querySelector('pre')?.textContent).toBe('let x = 1');
    expect(html('| a | b |\n| - | - |\n| 1')).toContain('<td>1</td>');
  });

  it('gives every code block a copy button', () => {
    render(<Markdown text={'```\na\n```\n\n```\nb\n```'} />);
    expect(screen.getAllByRole('button', { name: 'Copy code' })).toHaveLength(2);
  });

  it('keeps a block that does not change while the text grows', () => {
    const { container, rerender } = render(<Markdown text={'first\n\nsec'} />);
    const first = container.querySelector('p');
    rerender(<Markdown text={'first\n\nsecond'} />);
    expect(container.querySelector('p')).toBe(first);
    expect(container.textContent).toBe('firstsecond');
  });

  it('does not hang on hostile text', () => {
    const begin = performance.now();
    html('['.repeat(2000) + '*'.repeat(2000) + '`'.repeat(2001) + '> '.repeat(300));
    expect(performance.now() - begin).toBeLessThan(3000);
  });
});

describe('safeLink', () => {
  it('lets only addresses of the web and mail through', () => {
    expect(safeLink('https://a.b/c')).toBe('https://a.b/c');
    expect(safeLink('mailto:a@b.c')).toBe('mailto:a@b.c');
    expect(safeLink('tauri://localhost')).toBeNull();
    expect(safeLink('not an address')).toBeNull();
  });
});

describe('highlight', () => {
  const kinds = (code: string, language: string) =>
    highlight(code, language)
      .filter((p) => p.kind)
      .map((p) => `${p.kind ?? ''}:${p.text}`);

  it('finds words, strings, numbers and comments', () => {
    expect(kinds('const a = "b" + 0x1f; // c', 'ts')).toEqual([
      'keyword:const',
      'string:"b"',
      'number:0x1f',
      'comment:// c',
    ]);
    expect(kinds("def f(): # 'x'\n  return 'y'", 'python')).toEqual([
      'keyword:def',
      "comment:# 'x'",
      'keyword:return',
      "string:'y'",
    ]);
    expect(kinds('SELECT 1 -- x', 'sql')).toEqual(['keyword:SELECT', 'number:1', 'comment:-- x']);
  });

  it('never loses or adds a character', () => {
    for (const language of ['js', 'py', 'sh', 'sql', 'unknown', '']) {
      const code = 'a "unclosed\n/* open `tick é 😀 1.5e-3 #!/bin/sh \\';
      expect(
        highlight(code, language)
          .map((p) => p.text)
          .join(''),
      ).toBe(code);
    }
  });
});
