import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  build: { target: 'es2023', chunkSizeWarningLimit: 700 },
  // While developing: the API of a running `npm start`.
  server: {
    host: '127.0.0.1',
    proxy: { '/api': 'http://127.0.0.1:7700', '/login': 'http://127.0.0.1:7700' },
  },
});
