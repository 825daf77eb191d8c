/** Prefixes up to the second, by second: most instants of one answer, and of neighbouring ones, share a few. */
const CACHED = 1024
const seconds = new Float64Array(CACHED).fill(-1)
const prefixes: string[] = new Array(CACHED).fill('')
const milliseconds = Array.from({ length: 1000 }, (_, ms) => `.${String(ms).padStart(3, '0')}Z`)

/** An instant as RFC 3339 in UTC with milliseconds. `Date.toISOString` costs several times as much. */
export function instant(at: number): string {
  const second = Math.floor(at / 1000)
  const place = second % CACHED
  if (seconds[place] !== second) {
    seconds[place] = second
    prefixes[place] = new Date(second * 1000).toISOString().slice(0, 19)
  }
  return `${prefixes[place]}${milliseconds[at - second * 1000]}`
}

export function instantOrNull(at: number | null): string | null {
  return at === null ? null : instant(at)
}
