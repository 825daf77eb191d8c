/** As many instants are kept as text, and as many beginnings up to the second: those of neighbouring answers are few. */
const CACHED = 1024
const instants = new Float64Array(CACHED).fill(-1)
const texts: string[] = new Array(CACHED).fill('')
const seconds = new Float64Array(CACHED).fill(-1)
const beginnings: string[] = new Array(CACHED).fill('')
const milliseconds = Array.from({ length: 1000 }, (_, ms) => `.${String(ms).padStart(3, '0')}Z`)

/** An instant as RFC 3339 in UTC with milliseconds. `Date.toISOString` costs several times as much. */
export function instant(at: number): string {
  const place = at % CACHED
  if (instants[place] !== at) {
    instants[place] = at
    texts[place] = write(at)
  }
  return texts[place] as string
}

export function instantOrNull(at: number | null): string | null {
  return at === null ? null : instant(at)
}

function write(at: number): string {
  const second = Math.floor(at / 1000)
  const place = second % CACHED
  if (seconds[place] !== second) {
    seconds[place] = second
    beginnings[place] = new Date(second * 1000).toISOString().slice(0, 19)
  }
  return `${beginnings[place]}${milliseconds[at - second * 1000]}`
}
