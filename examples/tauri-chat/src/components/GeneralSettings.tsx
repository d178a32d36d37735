import { useState, type ReactNode } from 'react';
import { reload } from '../lib/models';
import { change, DEFAULTS, settings } from '../lib/settings';
import { useStore } from '../lib/store';

export function GeneralSettings() {
  const s = useStore(settings, (value) => value);
  return (
    <div className="fields">
      <fieldset className="choice">
        <legend>Appearance</legend>
        {(['auto', 'light', 'dark'] as const).map((theme) => (
          <label key={theme}>
            <input
              type="radio"
              name="theme"
              checked={s.theme === theme}
              data-testid={`theme-${theme}`}
              onChange={() => change({ theme })}
            />
            {{ auto: 'As the system', light: 'Light', dark: 'Dark' }[theme]}
          </label>
        ))}
      </fieldset>
      <Field
        id="system-prompt"
        label="System prompt"
        hint="What the model is told before every conversation."
      >
        <textarea
          id="system-prompt"
          data-testid="system-prompt"
          rows={4}
          value={s.systemPrompt}
          placeholder="You are a helpful assistant."
          onChange={(event) => change({ systemPrompt: event.target.value })}
        />
      </Field>
      <Range
        name="temperature"
        label="Temperature"
        max={2}
        hint="Low keeps to the likely words, high is bolder."
      />
      <Range
        name="topP"
        label="Top-p"
        max={1}
        hint="Choose among the words that together have this chance."
      />
      <Whole name="maxTokens" label="Most tokens in an answer" max={1_000_000} empty="no limit" />
      <Whole
        name="seed"
        label="Seed"
        max={Number.MAX_SAFE_INTEGER}
        empty="a new one each time"
        hint="The same seed gives the same answer."
      />
      <Whole
        name="context"
        label="Context"
        max={16_777_216}
        empty="automatic"
        hint="Tokens of a conversation the model can hold; more takes more memory. The model is loaded again."
        onDone={() => void reload()}
      />
      <button
        type="button"
        data-testid="reset"
        onClick={() => {
          const { theme, model, sidebar } = s;
          change({ ...DEFAULTS, theme, model, sidebar });
        }}
      >
        Back to the defaults
      </button>
    </div>
  );
}

function Field(props: {
  id: string;
  label: string;
  hint?: string | undefined;
  children: ReactNode;
}) {
  return (
    <div className="field">
      <label htmlFor={props.id}>{props.label}</label>
      {props.children}
      {props.hint && <p className="hint">{props.hint}</p>}
    </div>
  );
}

function Range(props: { name: 'temperature' | 'topP'; label: string; max: number; hint: string }) {
  const { name, label, max, hint } = props;
  const value = useStore(settings, (s) => s[name]);
  const id = name === 'topP' ? 'top-p' : name;
  return (
    <Field id={id} label={label} hint={hint}>
      <div className="row">
        <input
          id={id}
          className="grow"
          type="range"
          min={0}
          max={max}
          step={0.05}
          value={value}
          data-testid={id}
          onChange={(event) => change({ [name]: Number(event.target.value) })}
        />
        <output htmlFor={id}>{value.toFixed(2)}</output>
      </div>
    </Field>
  );
}

type WholeName = 'maxTokens' | 'seed' | 'context';

/** A whole number; empty stands for "none" and is kept as 0, or null for the seed. */
function Whole(props: {
  name: WholeName;
  label: string;
  max: number;
  empty: string;
  hint?: string;
  onDone?: () => void;
}) {
  const { name, max } = props;
  const value = useStore(settings, (s) => s[name]);
  const none = name === 'seed' ? null : 0;
  const [text, setText] = useState<string | null>(null);
  const shown = text ?? (value === none ? '' : String(value));
  const id = { maxTokens: 'max-tokens', seed: 'seed', context: 'context-size' }[name];

  const keep = () => {
    if (text === null) return;
    const trimmed = text.trim();
    const parsed = trimmed === '' ? none : Number(trimmed);
    const good = parsed === null || (Number.isSafeInteger(parsed) && parsed >= 0 && parsed <= max);
    if (good && parsed !== value) {
      change({ [name]: parsed });
      props.onDone?.();
    }
    setText(null);
  };
  return (
    <Field id={id} label={props.label} hint={props.hint}>
      <input
        id={id}
        data-testid={id}
        inputMode="numeric"
        pattern="[0-9]*"
        value={shown}
        placeholder={props.empty}
        onChange={(event) => setText(event.target.value)}
        onBlur={keep}
        onKeyDown={(event) => {
          if (event.key === 'Enter') keep();
        }}
      />
    </Field>
  );
}
