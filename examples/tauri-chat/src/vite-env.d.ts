interface ImportMetaEnv {
  readonly VITE_BUNDLED_MODEL?: string;
}
