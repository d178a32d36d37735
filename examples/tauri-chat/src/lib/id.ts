/** Sorts by time of making; random enough for one person's machine. */
export function newId(): string {
  const random = crypto.getRandomValues(new Uint32Array(2));
  return (
    Date.now().toString(36).padStart(9, '0') +
    Array.from(random, (n) => n.toString(36).padStart(7, '0')).join('')
  );
}
