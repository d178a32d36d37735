import { cleanup } from '@testing-library/react';
import { afterEach } from 'vitest';

// No `globals: true`: the library cannot see the end of a test by itself.
afterEach(() => {
  cleanup();
  localStorage.clear();
  sessionStorage.clear();
});
