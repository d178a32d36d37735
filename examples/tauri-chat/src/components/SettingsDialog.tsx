import { useEffect, useState } from 'react';
import { failureOf } from '../lib/errors';
import { bytes } from '../lib/format';
import * as ingle from 'tauri-plugin-ingle-api';
import { models, refreshModels, unloadAll } from '../lib/models';
import { closeSettings, ui, type Page } from '../lib/ui';
import { useStore } from '../lib/store';
import { Dialog } from './Dialog';
import { Downloads } from './Downloads';
import { ErrorNotice } from './ErrorNotice';
import { GeneralSettings } from './GeneralSettings';
import { OpenFile, StoredModels } from './StoredModels';

const PAGES: [Page, string][] = [
  ['general', 'General'],
  ['models', 'Models'],
  ['system', 'System'],
];

export function SettingsDialog() {
  const page = useStore(ui, (s) => s.settings);
  if (page === null) return null;
  return (
    <Dialog title="Settings" className="settings" testid="settings" onClose={closeSettings}>
      <div className="tabs" role="tablist" aria-label="Settings">
        {PAGES.map(([name, label]) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={page === name}
            aria-controls="settings-page"
            data-testid={`settings-${name}`}
            onClick={() => ui.set({ settings: name })}
          >
            {label}
          </button>
        ))}
      </div>
      <div className="page" role="tabpanel" id="settings-page" aria-labelledby={`tab-${page}`}>
        {page === 'general' && <GeneralSettings />}
        {page === 'models' && <ModelSettings />}
        {page === 'system' && <SystemPage />}
      </div>
    </Dialog>
  );
}

function ModelSettings() {
  const error = useStore(models, (s) => s.error);
  useEffect(() => void refreshModels(), []);
  return (
    <>
      {error && <ErrorNotice failure={error} />}
      <h3>On this computer</h3>
      <StoredModels onChosen={closeSettings} />
      <div className="row">
        <OpenFile onChosen={closeSettings} />
        <button type="button" data-testid="unload-all" onClick={() => void unloadAll()}>
          Free all memory
        </button>
      </div>
      <h3>Download</h3>
      <Downloads />
    </>
  );
}

/** What the engine says about this computer. */
function SystemPage() {
  const [report, setReport] = useState<ingle.Report | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    ingle.doctor().then(setReport, setError);
  }, []);
  if (error !== null) return <ErrorNotice failure={failureOf(error)} />;
  if (!report) return <p className="empty">Looking at this computer…</p>;
  return (
    <div data-testid="system">
      <h3>Processors</h3>
      <ul className="stored">
        {report.devices.map((d) => (
          <li key={d.id} className="card">
            <div className="grow">
              <strong>{d.name}</strong>
              <p className="hint">
                {[
                  d.kind.toUpperCase(),
                  d.threads ? `${d.threads} threads` : '',
                  d.memoryBytes ? bytes(d.memoryBytes) : '',
                  d.kernels ?? '',
                ]
                  .filter(Boolean)
                  .join(' · ')}
              </p>
              {!d.usable && <p className="hint">Not used: {d.reason ?? 'unknown reason'}</p>}
            </div>
          </li>
        ))}
      </ul>
      {report.problems.length > 0 && <h3>Advice</h3>}
      {report.problems.map((p) => (
        <p key={p.what}>
          {p.what}
          {p.hint && <span className="hint"> {p.hint}</span>}
        </p>
      ))}
      <p className="hint">ingle {report.version}</p>
    </div>
  );
}
