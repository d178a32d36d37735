import { open } from '@tauri-apps/plugin-dialog';
import { useState } from 'react';
import { download, downloads } from '../lib/downloads';
import { failureOf } from '../lib/errors';
import { bytes } from '../lib/format';
import type { StoredModel } from 'tauri-plugin-ingle-api';
import {
  chooseDownloaded,
  displayName,
  isOpenedFile,
  models,
  refreshModels,
  remove,
  selectModel,
  unload,
} from '../lib/models';
import { settings } from '../lib/settings';
import type { Failure } from '../lib/types';
import { useStore } from '../lib/store';
import { Dialog } from './Dialog';
import { ErrorNotice } from './ErrorNotice';
import { Icon } from './Icon';

/** The models of the store, shared by all apps that use ingle. */
export function StoredModels({ onChosen }: { onChosen?: () => void }) {
  const stored = useStore(models, (s) => s.stored);
  if (stored === null) return <p className="empty">Looking for models…</p>;
  if (stored.length === 0) return <p className="empty">No model is on this computer yet.</p>;
  return (
    <ul className="stored" aria-label="Models on this computer">
      {stored.map((m) => (
        <StoredRow key={m.name} model={m} onChosen={onChosen} />
      ))}
    </ul>
  );
}

function StoredRow({
  model,
  onChosen,
}: {
  model: StoredModel;
  onChosen: (() => void) | undefined;
}) {
  const current = useStore(settings, (s) => s.model);
  const loaded = useStore(models, (s) => s.loaded);
  const opened = isOpenedFile(model, current, loaded);
  const chosen = opened || current === model.name;
  // While it is being downloaded, its own row has the buttons.
  const busy = useStore(downloads, (s) => model.source !== null && model.source in s.list);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [asking, setAsking] = useState(false);
  const guard = (work: Promise<unknown>) => {
    setFailure(null);
    work.catch((error: unknown) => setFailure(failureOf(error)));
  };
  return (
    <li className="card" data-testid="stored-model">
      <div className="grow">
        <strong>{displayName(model.name)}</strong>
        <p className="hint">
          {model.complete ? bytes(model.bytes) : 'Only a part of it is here'}
          {model.loaded && ' · in memory'}
        </p>
        {failure && <ErrorNotice failure={failure} />}
      </div>
      <div className="row">
        {!model.complete && model.source && !busy && (
          <button
            type="button"
            data-testid="download-resume"
            onClick={() => void download(model.source ?? '', chooseDownloaded)}
          >
            Resume
          </button>
        )}
        {model.loaded && (
          <button
            type="button"
            data-testid="unload"
            onClick={() => guard(unload(model.name).then(refreshModels))}
          >
            Free memory
          </button>
        )}
        {model.complete && (
          <button
            type="button"
            className={chosen ? 'chosen' : ''}
            aria-pressed={chosen}
            data-testid="use-model"
            onClick={() => {
              onChosen?.();
              void selectModel(opened && current !== null ? current : model.name);
            }}
          >
            {chosen ? 'In use' : 'Use'}
          </button>
        )}
        {!opened && (
          <button
            type="button"
            className="quiet"
            aria-label={`Delete ${displayName(model.name)}`}
            data-testid="remove-model"
            onClick={() => setAsking(true)}
          >
            <Icon name="trash" />
          </button>
        )}
      </div>
      {asking && (
        <Dialog title="Delete this model?" className="small" onClose={() => setAsking(false)}>
          <p>
            {displayName(model.name)} ({bytes(model.bytes)}) is removed from the store. Other apps
            that use it lose it too.
          </p>
          <div className="row end">
            <button type="button" onClick={() => setAsking(false)}>
              Keep
            </button>
            <button
              type="button"
              className="danger"
              data-testid="remove-confirm"
              onClick={() => {
                setAsking(false);
                guard(remove(model.name));
              }}
            >
              Delete
            </button>
          </div>
        </Dialog>
      )}
    </li>
  );
}

/** A model file from anywhere on the disk. */
export function OpenFile({ onChosen }: { onChosen?: () => void }) {
  const choose = async () => {
    const path = await open({
      title: 'Open a model',
      multiple: false,
      filters: [{ name: 'Models', extensions: ['gguf'] }],
    });
    if (path === null) return;
    onChosen?.();
    await selectModel(path);
  };
  return (
    <button type="button" data-testid="open-file" onClick={() => void choose()}>
      <Icon name="folder" />
      Open a file…
    </button>
  );
}
