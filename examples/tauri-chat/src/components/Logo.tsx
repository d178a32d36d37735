/** The mark of the app: a hearth in a speech bubble ("ingle" is a fire in a hearth). Same drawing as src-tauri/icons/icon.svg. */
export function Logo() {
  return (
    <svg className="logo" viewBox="6 6 52 54" aria-hidden="true">
      <path
        className="logo-bubble"
        d="M16 6h32a10 10 0 0 1 10 10v24a10 10 0 0 1-10 10H34L22 60V50h-6A10 10 0 0 1 6 40V16A10 10 0 0 1 16 6z"
      />
      <path
        className="logo-flame"
        d="M33 13c1 7 10 10 10 19a11 11 0 0 1-22 0c0-5 3-8 5-11 1 3 2 4 4 5 0-5 0-9 3-13z"
      />
    </svg>
  );
}
