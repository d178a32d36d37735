import { models } from '../lib/models';
import { useStore } from '../lib/store';
import { Downloads } from './Downloads';
import { ErrorNotice } from './ErrorNotice';
import { Logo } from './Logo';
import { OpenFile, StoredModels } from './StoredModels';

/** Shown until a model is chosen. */
export function Welcome() {
  const stored = useStore(models, (s) => s.stored);
  const error = useStore(models, (s) => s.error);
  return (
    <div className="welcome" data-testid="welcome">
      <div className="column">
        <Logo />
        <h1>A chat that stays with you</h1>
        <p className="lead">
          The model runs on this computer. Nothing you write leaves it. To begin, choose a model.
        </p>
        {error && <ErrorNotice failure={error} />}
        {stored !== null && stored.length > 0 && (
          <section>
            <h2>On this computer</h2>
            <StoredModels />
          </section>
        )}
        <section>
          <h2>Download one</h2>
          <Downloads />
        </section>
        <OpenFile />
      </div>
    </div>
  );
}
