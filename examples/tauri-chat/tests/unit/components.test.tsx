import { fireEvent, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { useState } from 'react';
import { describe, expect, it, vi } from 'vitest';
import { ErrorNotice } from '../../src/components/ErrorNotice';
import { GeneralSettings } from '../../src/components/GeneralSettings';
import { TextArea } from '../../src/components/TextArea';
import { change, DEFAULTS, settings } from '../../src/lib/settings';
import { ui } from '../../src/lib/ui';

describe('TextArea', () => {
  function Field({ onEnter }: { onEnter: (text: string) => void }) {
    const [text, setText] = useState('');
    return (
      <TextArea
        value={text}
        onChange={setText}
        onEnter={() => onEnter(text)}
        label="Message"
        testid="t"
      />
    );
  }

  it('sends on Enter and Ctrl+Enter, breaks the line on Shift+Enter', async () => {
    const sent = vi.fn();
    render(<Field onEnter={sent} />);
    const area = screen.getByRole('textbox', { name: 'Message' });
    await userEvent.type(area, 'a{Shift>}{Enter}{/Shift}b');
    expect(sent).not.toHaveBeenCalled();
    await userEvent.type(area, '{Enter}');
    expect(sent).toHaveBeenLastCalledWith('a\nb');
    await userEvent.type(area, '{Control>}{Enter}{/Control}');
    expect(sent).toHaveBeenCalledTimes(2);
  });

  it('leaves Enter to an input method', () => {
    const sent = vi.fn();
    render(<Field onEnter={sent} />);
    const area = screen.getByRole('textbox');
    fireEvent.keyDown(area, { key: 'Enter', isComposing: true });
    expect(sent).not.toHaveBeenCalled();
  });
});

describe('ErrorNotice', () => {
  const failure = (code: string) => ({ code, message: 'What happened.', hint: 'What to do.' });

  it('says what happened and what to do', () => {
    render(<ErrorNotice failure={failure('io')} />);
    const notice = screen.getByRole('alert');
    expect(notice.textContent).toContain('What happened.');
    expect(notice.textContent).toContain('What to do.');
    // Nothing to try again was given, so no button promises it.
    expect(screen.queryByRole('button')).toBeNull();
  });

  it('has buttons that mend', async () => {
    const again = vi.fn();
    render(<ErrorNotice failure={failure('bad_file')} onRetry={again} />);
    await userEvent.click(screen.getByRole('button', { name: 'Try again' }));
    expect(again).toHaveBeenCalledOnce();
    await userEvent.click(screen.getByRole('button', { name: 'Choose another model' }));
    expect(ui.value.settings).toBe('models');
  });
});

describe('GeneralSettings', () => {
  const field = (name: string) => screen.getByRole('textbox', { name });

  it('keeps whole numbers, takes empty as none and refuses the rest', async () => {
    change(DEFAULTS);
    render(<GeneralSettings />);
    const seed = field('Seed');
    await userEvent.type(seed, '42{Enter}');
    expect(settings.value.seed).toBe(42);
    for (const wrong of ['-1', '1.5', 'x', '99999999999999999999']) {
      await userEvent.clear(seed);
      await userEvent.type(seed, `${wrong}{Enter}`);
      expect(settings.value.seed).toBe(42);
      expect((seed as HTMLInputElement).value).toBe('42');
    }
    await userEvent.clear(seed);
    await userEvent.tab();
    expect(settings.value.seed).toBeNull();
  });

  it('goes back to the defaults but keeps the look and the model', async () => {
    change({ ...DEFAULTS, theme: 'dark', model: 'm', temperature: 1.5, systemPrompt: 'x' });
    render(<GeneralSettings />);
    await userEvent.click(screen.getByRole('button', { name: 'Back to the defaults' }));
    expect(settings.value).toEqual({ ...DEFAULTS, theme: 'dark', model: 'm' });
  });
});
