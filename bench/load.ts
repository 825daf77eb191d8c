import { type ChildProcess, fork } from 'node:child_process'
import { type EventEmitter, once } from 'node:events'
import { createHistogram } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { check } from './measure.ts'

export const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4)
export const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5)

export interface Server {
  url: string
  process: ChildProcess
}

export interface Run {
  /** Acquire and release, or a batch of them, per second. */
  perSecond: number
  p99: number
}

/** A server of bench/server.ts, in a process of its own. */
export async function start(kind: string, ...of: (string | number)[]): Promise<Server> {
  const script = fileURLToPath(new URL('server.js', import.meta.url))
  const child = fork(script, [kind, ...of.map(String)], { execArgv: ['--max-old-space-size=8192'] })
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return { url: `http://127.0.0.1:${port}`, process: child }
}

/** Each connection acquires, then releases what it got, over and over. */
export async function pairs({ url }: Server, connections: number): Promise<Run> {
  // Microseconds: autocannon's own histogram has whole milliseconds.
  const latencies = createHistogram()
  const run = autocannon({
    url,
    connections,
    duration: SECONDS,
    requests: [
      {
        method: 'POST',
        path: '/v1/pools/default/leases',
        onResponse: (status, body, context) => {
          check(status === 201, `acquire answered ${status}`)
          ;(context as { lease: string }).lease = /"id":"([^"]+)"/.exec(body)?.[1] as string
        }
      },
      {
        method: 'DELETE',
        setupRequest: (request, context) => ({
          ...request,
          path: `/v1/pools/default/leases/${(context as { lease: string }).lease}`
        }),
        onResponse: status => check(status === 204, `release answered ${status}`)
      }
    ]
  })
  // It is an emitter, too, which its types do not say.
  ;(run as unknown as EventEmitter).on('response', (_client, _status, _bytes, ms: number) =>
    latencies.record(Math.max(1, Math.round(ms * 1000)))
  )
  const result = await run
  check(result.errors === 0 && result.non2xx === 0, 'a request failed')
  return { perSecond: result.requests.average / 2, p99: latencies.percentile(99) / 1000 }
}

/** Runs all kinds in turn, several times, so that what else the machine does falls on all alike. */
export async function interleaved(kinds: Record<string, () => Promise<Run>>): Promise<Record<string, Run[]>> {
  const runs: Record<string, Run[]> = Object.fromEntries(Object.keys(kinds).map(kind => [kind, []]))
  for (let round = -1; round < ROUNDS; round++) {
    for (const [kind, run] of Object.entries(kinds)) {
      const result = await run()
      // The first round warms up.
      if (round >= 0) runs[kind]?.push(result)
    }
  }
  return runs
}
