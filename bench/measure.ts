import { cpus } from 'node:os'

/** What a series of samples comes to. */
export interface Summary {
  median: number
  p10: number
  p90: number
}

export function summarize(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number
  return { median: at(0.5), p10: at(0.1), p90: at(0.9) }
}

/** Runs `call` in samples of `perSample` calls. Returns nanoseconds per call. */
export function time(samples: number, perSample: number, call: (i: number) => void): Summary {
  const taken: number[] = []
  let i = 0
  for (let sample = 0; sample < samples; sample++) {
    const started = process.hrtime.bigint()
    for (let end = i + perSample; i < end; i++) call(i)
    taken.push(Number(process.hrtime.bigint() - started) / perSample)
  }
  return summarize(taken)
}

/** Throws where a bench came to a wrong result: a fast wrong answer is worth nothing. */
export function check(right: boolean, what: string): void {
  if (!right) throw new Error(`wrong result: ${what}`)
}

/** Bytes in use, typed arrays included, after a collection. */
export function bytesInUse(): number {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('run with --expose-gc')
  gc()
  gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

export function heading(title: string): void {
  const [cpu] = cpus()
  console.log(`\n## ${title}\n\nNode ${process.version}, ${cpus().length} × ${cpu?.model}\n`)
}

/** Prints rows as a Markdown table, ready for the README. */
export function table(columns: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  console.log(`| ${columns.join(' | ')} |`)
  console.log(`|${columns.map((_, i) => (i === 0 ? '---' : '---:')).join('|')}|`)
  for (const row of rows) console.log(`| ${row.join(' | ')} |`)
}

export const thousands = (n: number): string => Math.round(n).toLocaleString('en')
export const fixed = (n: number, digits = 2): string => n.toFixed(digits)
