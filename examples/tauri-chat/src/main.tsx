import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './components/App';
import { followTheme } from './lib/settings';
import './styles/base.css';
import './styles/layout.css';
import './styles/chat.css';
import './styles/markdown.css';
import './styles/panels.css';

async function main(): Promise<void> {
  // Only in `npm run dev:mock` and the UI tests; removed from every other build.
  if (import.meta.env.MODE === 'mock') await (await import('./mock')).install();
  followTheme();
  const root = document.getElementById('root');
  if (root)
    createRoot(root).render(
      <StrictMode>
        <App />
      </StrictMode>,
    );
}

void main();
