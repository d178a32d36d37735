import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  // One copy of each, also when the package is linked from a checkout of ingle.
  resolve: { dedupe: ['@tauri-apps/api', 'react', 'react-dom'] },
  clearScreen: false,
  server: { port: 1420, strictPort: true, watch: { ignored: ['**/src-tauri/**'] } },
  build: { target: ['es2022', 'safari15'] },
});
