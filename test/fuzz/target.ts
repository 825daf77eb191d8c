import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Bearer } from '../../src/access/bearer.ts'
import { buildApp } from '../../src/app.ts'
import type { Engine, PoolView } from '../../src/engine.ts'
import { MemoryEngine } from '../../src/memory/engine.ts'
import { granted, turns } from '../support/create-engine.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { ANYBODY, type Caller, tokensOf } from './callers.ts'
import type { Answer, Sent } from './judge.ts'
import { HUSH } from './values.ts'

/** What a test of the fuzzing itself breaks. */
export interface Sabotage {
  /** Stands between the routes and the engine. */
  engine?: (engine: Engine) => Engine
  request?: (request: FastifyRequest) => void
  /** Gives a bearer what the file of tokens does not. */
  bearer?: (bearer: Bearer) => Bearer
  /** Gives the body to send instead. */
  send?: (request: FastifyRequest, reply: FastifyReply, body: string) => string
}

/** For so many turns of the event loop an answer is awaited before time passes: more than any takes that need not wait. */
const TURNS = 30
/** How far time is moved on then, again and again: every wait has an end. */
const STEP_MS = 5000

/**
 * The whole service, both dialects included, without a socket. It is built once, since that takes longer than a run; each
 * run has a new engine behind it.
 */
export interface Target {
  /** Who may send; the first may do everything. */
  readonly callers: readonly Caller[]
  /** Begins anew, with the pools that the service itself makes. */
  reset(): Promise<void>
  /** None by default. From the next reset on. */
  sabotage: Sabotage
  /** Calls, some at once. Time passes only while an answer waits for it. Also tells the template of the route that was met. */
  send(requests: readonly Sent[]): Promise<{ answer: Answer; route: string | undefined }[]>
  /** The verbs that the engine was asked for since the last look. */
  takeVerbs(): ReadonlySet<string>
  pass(ms: number): Promise<void>
  /** All that was logged since the last look. */
  takeLog(): string
  /** Faults that no caller was told of. */
  readonly faults: readonly unknown[]
  close(): Promise<void>
}

/** By default without tokens. What is told to the audit trail is searched with the log. */
export async function openTarget(callers = ANYBODY): Promise<Target> {
  const faults: unknown[] = []
  let clock = new ManualClock()
  let memory = createEngine()
  let served: Engine = memory
  function createEngine(): MemoryEngine {
    return new MemoryEngine({ clock, random: seededRandom(1), onFault: error => void faults.push(error) })
  }

  let verbs = new Set<string>()
  const noted = (inner: Engine): Engine =>
    new Proxy(inner, {
      get: (target, name) => {
        verbs.add(String(name))
        return (Reflect.get(target, name) as (...args: unknown[]) => unknown).bind(target)
      }
    })
  // Each verb goes to the engine of the present run.
  const engine = new Proxy({} as Engine, {
    get: (_, name) => (Reflect.get(served, name) as (...args: unknown[]) => unknown).bind(served)
  })
  let log: string[] = []
  const tell = (entry: object) => void log.push(`${JSON.stringify(entry)}\n`)
  const tokens = tokensOf(callers)
  const bearerOf = (token: string): Bearer | undefined => {
    const bearer = tokens.bearerOf(token)
    return bearer && (target.sabotage.bearer?.(bearer) ?? bearer)
  }
  const { app } = await buildApp({
    engine,
    bearers: callers === ANYBODY ? undefined : { bearerOf },
    trail: { write: tell, sumUp: tell, fault: undefined },
    tokens: { alphabet: 'abcdefghij', length: 24 },
    logger: { level: 'trace', stream: { write: (line: string) => void log.push(line) } }
  })
  const routes = new WeakMap<object, string | undefined>()
  app.addHook('onRequest', (request, _reply, done) => {
    target.sabotage.request?.(request)
    done()
  })
  app.addHook('onSend', async (request, reply, payload) => {
    routes.set(reply.raw, request.is404 ? undefined : request.routeOptions.url)
    return typeof payload === 'string' && target.sabotage.send ? target.sabotage.send(request, reply, payload) : payload
  })
  await app.ready()
  const pools: PoolView[] = await granted(memory.pools())

  async function pass(ms: number): Promise<void> {
    clock.advance(ms)
    await turns(3)
  }

  async function answerTo(sent: Sent): Promise<{ answer: Answer; route: string | undefined }> {
    const response = await app.inject({
      method: sent.method as 'GET',
      url: sent.url,
      headers: sent.headers,
      ...(sent.body === undefined ? {} : { payload: sent.body }),
      payloadAsStream: true
    })
    const headers = response.headers as Record<string, string | undefined>
    // A stream of events has no end: that it began is what there is to judge.
    const isEndless = headers['content-type']?.startsWith('text/event-stream') === true
    const chunks: Buffer[] = []
    if (isEndless) response.stream().destroy()
    else for await (const chunk of response.stream()) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const isJson = /json(;|$)/.test(headers['content-type'] ?? '') && text !== ''
    const answer = { status: response.statusCode, headers, text, json: isJson ? JSON.parse(text) : undefined }
    return { answer, route: routes.get(response.raw.res) }
  }

  const target: Target = {
    callers,
    sabotage: {},
    faults,
    async reset() {
      memory.close()
      clock = new ManualClock()
      memory = createEngine()
      for (const { name, policy } of pools) await granted(memory.putPool(name, policy))
      await granted(memory.putPool('default', { prefix: HUSH }))
      served = target.sabotage.engine?.(noted(memory)) ?? noted(memory)
      log = []
      faults.length = 0
    },
    async send(requests) {
      let pending = true
      const answers = Promise.all(requests.map(answerTo)).finally(() => (pending = false))
      while (pending) {
        for (let turn = 0; turn < TURNS && pending; turn++) await turns()
        if (pending) await pass(STEP_MS)
      }
      return answers
    },
    pass,
    takeVerbs() {
      const taken = verbs
      verbs = new Set()
      return taken
    },
    takeLog() {
      const taken = log.join('')
      log = []
      return taken
    },
    async close() {
      memory.close()
      await app.close()
    }
  }
  return target
}
