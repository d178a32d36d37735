import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// `--mode mock` gives the page a stand-in for the Rust side, so that it runs in any browser.
export default defineConfig(({ mode }) => ({
  plugins: [react()],
  // The package is linked from its folder, which has its own copy.
  resolve: { dedupe: ['@tauri-apps/api'] },
  clearScreen: false,
  server: { port: 1420, strictPort: true, watch: { ignored: ['**/src-tauri/**'] } },
  build: {
    outDir: mode === 'mock' ? 'dist-mock' : 'dist',
    target: ['es2022', 'safari15'],
    chunkSizeWarningLimit: 600,
  },
  test: {
    environment: 'happy-dom',
    include: ['tests/unit/**/*.test.{ts,tsx}'],
    setupFiles: ['tests/unit/setup.ts'],
    restoreMocks: true,
  },
}));
