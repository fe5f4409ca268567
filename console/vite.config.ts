// How the console is built: into `dist/page`, which the gateway's build packs into the program.
//
// Always true: the page needs nothing from elsewhere, no script and no style stands in the HTML
// (the policy that it is served with refuses those), and files below `assets/` are named by content.

import { defineConfig } from "vite";

export default defineConfig({
  base: "/console/",
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: "dist/page",
    emptyOutDir: true,
    target: "es2022",
    // A file in a `data:` address would need a wider policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  // `npx vite` shows changes at once, over a cloud that runs here.
  server: { proxy: { "/v1": "http://127.0.0.1:8000" } },
});
