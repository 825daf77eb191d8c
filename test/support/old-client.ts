import { type AppOptions, buildApp, type Service } from '../../src/app.ts'
import type { App } from '../../src/http/app-type.ts'
import { MemoryEngine } from '../../src/memory/engine.ts'
import { ManualClock } from './manual-clock.ts'

/** What tests of this file use of tap's Test. */
interface Test {
  teardown(close: () => unknown): void
  match(found: unknown, wanted: unknown, message: string): boolean
  strictSame(found: unknown, wanted: unknown, message: string): boolean
}

export type Answer = Awaited<ReturnType<App['inject']>>
export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS' | 'TRACE'

/** The whole service on the memory engine, with the test's own time. Closed with the test. */
export async function openService(t: Pick<Test, 'teardown'>, options: Partial<AppOptions> = {}) {
  const clock = new ManualClock()
  const engine = options.engine ?? createEngine(clock)
  const service: Service = await buildApp({ ...options, engine })
  await service.prepare()
  t.teardown(() => service.app.close())
  const undocumented: string[] = []
  service.app.addHook('onResponse', async ({ routeOptions: { method, url, schema } }, { statusCode }) => {
    const responses = schema?.response as object | undefined
    if (responses && !(statusCode in responses)) undocumented.push(`${String(method)} ${url} answered ${statusCode}`)
  })
  const ask = async (request: string, headers: Record<string, string> = {}, payload?: string | object) => {
    const [method, url] = request.split(' ') as [Method, string]
    const answer = await service.app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })
    if (undocumented.length > 0) throw new Error(undocumented.join(', '))
    return answer
  }
  return { service, app: service.app, engine, clock, ask }
}

export function createEngine(clock: ManualClock): MemoryEngine {
  return new MemoryEngine({
    clock,
    onFault: error => {
      throw error
    }
  })
}

/** What was recorded of a client and its server. In `ask` and `body`, `{K}` is what an answer before was named by `as`. */
export interface Exchange {
  /** The method and the path with its query. */
  ask: string
  status: number
  /** The whole body, its members in this order: literal values, or their shapes. */
  body: Record<string, string | number | boolean | null | RegExp>
  /** How many milliseconds pass before. */
  after?: number
  /** Names the value of a member for what follows. */
  as?: { [name: string]: string }
}

/** Asks what the old client asked, and compares what it gets with what it got. */
export async function replay(
  t: Test,
  { ask, clock }: Pick<Awaited<ReturnType<typeof openService>>, 'ask' | 'clock'>,
  session: readonly Exchange[]
): Promise<void> {
  const names: Record<string, string> = {}
  const filled = (text: string): string => text.replace(/\{(\w+)\}/g, (_, name: string) => names[name] ?? `{${name}}`)
  for (const [i, { ask: asked, status, body, after = 0, as = {} }] of session.entries()) {
    const place = `${i + 1}. ${asked}`
    clock.advance(after)
    const answer = await ask(filled(asked))
    const found: Exchange['body'] = answer.json()
    const wanted = Object.entries(body).map(([member, value]) => {
      const seen = found[member]
      if (value instanceof RegExp) return [member, typeof seen === 'string' && value.test(seen) ? seen : value]
      return [member, typeof value === 'string' ? filled(value) : value]
    })
    t.strictSame(
      { status: answer.statusCode, cache: answer.headers['cache-control'], body: Object.entries(found) },
      { status, cache: 'no-store', body: wanted },
      place
    )
    t.match(answer.headers['content-type'], /^application\/json(; charset=utf-8)?$/, place)
    for (const [name, member] of Object.entries(as)) names[name] = String(found[member])
  }
}
