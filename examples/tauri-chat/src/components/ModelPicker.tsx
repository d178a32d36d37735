import { useEffect, useRef, useState, type KeyboardEvent } from 'react';
import { bytes, percent } from '../lib/format';
import {
  displayName,
  isOpenedFile,
  isPath,
  models,
  refreshModels,
  selectModel,
} from '../lib/models';
import { settings } from '../lib/settings';
import { openSettings } from '../lib/ui';
import { useStore } from '../lib/store';
import { Icon } from './Icon';

/** The model that answers, and a menu of the others. */
export function ModelPicker() {
  const model = useStore(settings, (s) => s.model);
  const loading = useStore(models, (s) => s.loading);
  const [shown, setShown] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    if (!shown) return;
    void refreshModels();
    const onPointer = (event: PointerEvent) => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setShown(false);
    };
    document.addEventListener('pointerdown', onPointer);
    return () => document.removeEventListener('pointerdown', onPointer);
  }, [shown]);

  const close = () => {
    setShown(false);
    button.current?.focus();
  };
  return (
    <div className="picker" ref={root}>
      <button
        ref={button}
        type="button"
        className="picker-button"
        data-testid="model-picker"
        aria-haspopup="menu"
        aria-expanded={shown}
        onClick={() => setShown(!shown)}
      >
        <span className="name">{model === null ? 'Choose a model' : displayName(model)}</span>
        {loading && loading.model === model && (
          <span className="loading">{Math.round(percent(loading.done, 1))} %</span>
        )}
        <Icon name="down" />
      </button>
      {shown && <Menu model={model} onClose={close} />}
    </div>
  );
}

function Menu({ model, onClose }: { model: string | null; onClose: () => void }) {
  const stored = useStore(models, (s) => s.stored);
  const loaded = useStore(models, (s) => s.loaded);
  const list = (stored ?? []).filter((m) => m.complete && !isOpenedFile(m, model, loaded));
  const menu = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const items = menu.current?.querySelectorAll<HTMLElement>('[role^=menuitem]');
    ([...(items ?? [])].find((i) => i.ariaChecked === 'true') ?? items?.[0])?.focus();
  }, []);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape') {
      event.preventDefault();
      onClose();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const items = [...(menu.current?.querySelectorAll<HTMLElement>('[role^=menuitem]') ?? [])];
    const at = items.findIndex((i) => i === document.activeElement);
    items[(at + step + items.length) % items.length]?.focus();
  };
  return (
    <div className="menu" role="menu" aria-label="Models" ref={menu} onKeyDown={onKeyDown}>
      {model !== null && isPath(model) && (
        <button type="button" role="menuitemradio" aria-checked="true" onClick={onClose}>
          <span>{displayName(model)}</span>
          <small>file</small>
        </button>
      )}
      {list.map((m) => (
        <button
          key={m.name}
          type="button"
          role="menuitemradio"
          aria-checked={m.name === model}
          data-testid="model-option"
          onClick={() => {
            onClose();
            void selectModel(m.name);
          }}
        >
          <span>{displayName(m.name)}</span>
          <small>
            {m.loaded && 'in memory · '}
            {bytes(m.bytes)}
          </small>
        </button>
      ))}
      {list.length === 0 && <p className="empty">No model is here yet.</p>}
      <hr />
      <button
        type="button"
        role="menuitem"
        data-testid="more-models"
        onClick={() => {
          onClose();
          openSettings('models');
        }}
      >
        <span>More models…</span>
        <Icon name="download" />
      </button>
    </div>
  );
}
