import { randomBytes } from 'node:crypto'
import Fastify, { type FastifyServerOptions, LogController } from 'fastify'
import type { Dialect } from './config.ts'
import { DEFAULT_POOL, type Engine } from './engine.ts'
import type { AuditTrail } from './access/audit-trail.ts'
import type { Bearers } from './access/bearer.ts'
import type { Certificate } from './access/certificate.ts'
import { registerRandomApiKey } from './dialects/random-api-key.ts'
import { DEFAULT_TOKENS, makeTokenPool, registerTokenApi, TOKEN_POOL, type TokenShape } from './dialects/tokenapi.ts'
import { guardAccess } from './http/access.ts'
import type { App } from './http/app-type.ts'
import { auditCalls } from './http/audit.ts'
import { registerBatch } from './http/batch.ts'
import { guardAgainstBrowsers } from './http/browsers.ts'
import { MAX_BODY_BYTES, readBodies } from './http/bodies.ts'
import { connectionOptions, limitConnections, rememberAddresses } from './http/connections.ts'
import { answerFrameworkError, guardEdge, logRequests, requestIds } from './http/edge.ts'
import { registerKeys } from './http/keys.ts'
import { registerLeases } from './http/leases.ts'
import { registerNewKeys } from './http/new-keys.ts'
import { describeApi } from './http/openapi.ts'
import { Pipelines } from './http/pipelines.ts'
import { limitRate, PRESSURE_LIMITS, type PressureLimits, refuseUnderPressure } from './http/overload.ts'
import { registerPools } from './http/pools.ts'
import { answerClientErrors, answerUnheard } from './http/raw-answers.ts'
import { sharedSchemas } from './http/schemas.ts'
import { registerService } from './http/service.ts'
import { validatorCompiler } from './http/validation.ts'

export { PRESSURE_LIMITS }

/** Longer than any URL that is let in, so that the check of the whole URL comes first. */
const MAX_PARAM_LENGTH = 10_000

export interface AppOptions {
  engine: Engine
  /** Fastify's logger options; none by default. */
  logger?: FastifyServerOptions['logger']
  /** The old wire formats to serve besides. */
  dialects?: readonly Dialect[]
  /** What the keys of the pool of the dialect tokenapi are made of. */
  tokens?: TokenShape
  /** Who carries a token. Without it everybody may do everything. */
  bearers?: Bearers | undefined
  /** Where changes are told. */
  trail?: Pick<AuditTrail, 'write' | 'sumUp' | 'fault'> | undefined
  /** For TLS. */
  certificate?: Certificate | undefined
  /** Whether nobody but this machine is meant to reach the server, so that other names in Host are foul. */
  onlyThisMachine?: boolean
  /** How long a request may take to arrive. */
  requestTimeoutMs?: number
  /** The most requests per second of each token, or address without one; without it, as many as there are. */
  rateLimit?: number
  /** From when on the server refuses because it is far behind; without it, never. */
  pressure?: PressureLimits
}

export interface Service {
  app: App
  /** Makes what the dialects need of an engine that has recovered. Rejected where the engine refuses. */
  prepare(): Promise<void>
  /** From now on /readyz says no; requests are still served. */
  announceStop(): void
  /** From now on new requests, and callers that wait, are refused as `draining`. */
  drain(): void
}

/** The whole service short of a socket. */
export async function buildApp(options: AppOptions): Promise<Service> {
  const { engine, logger = false, dialects = ['random_api_key', 'tokenapi'], tokens = DEFAULT_TOKENS } = options
  const { certificate } = options
  const { http, ...timeouts } = connectionOptions(options.requestTimeoutMs)
  const nextId = requestIds(randomBytes(6).toString('base64url'))
  const pipelines = new Pipelines()
  const state = { stopping: false, draining: false }
  const app: App = Fastify({
    logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: nextId,
    bodyLimit: MAX_BODY_BYTES,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    return503OnClosing: false,
    frameworkErrors: answerFrameworkError,
    clientErrorHandler: answerClientErrors(nextId, pipelines),
    ...timeouts,
    [certificate === undefined ? 'http' : 'https']: { ...http, ...certificate }
  })
  limitConnections(app.server)
  rememberAddresses(app.server)
  pipelines.attach(app.server)
  answerUnheard(app.server, nextId, pipelines)
  // One logger for all: a child for each request costs more than the request's own work.
  app.log.child = () => app.log
  app.setValidatorCompiler(validatorCompiler)
  for (const schema of sharedSchemas) app.addSchema(schema)
  guardEdge(app, state)
  const limit = options.rateLimit ? await limitRate(app, options.rateLimit) : undefined
  guardAccess(app, options.bearers, limit)
  if (options.bearers === undefined) guardAgainstBrowsers(app, options.onlyThisMachine === true)
  auditCalls(app, options.trail, options.bearers !== undefined)
  if (options.pressure) await refuseUnderPressure(app, options.pressure)
  logRequests(app)
  readBodies(app)
  await describeApi(app)

  const protectedPools = [DEFAULT_POOL, ...(dialects.includes('tokenapi') ? [TOKEN_POOL] : [])]
  registerPools(app, engine, pool => protectedPools.includes(pool))
  registerNewKeys(app, engine)
  registerKeys(app, engine)
  registerLeases(app, engine)
  registerBatch(app, engine)
  registerService(app, engine, state, () => warningsOf(options))
  if (dialects.includes('random_api_key')) registerRandomApiKey(app, engine)
  if (dialects.includes('tokenapi')) registerTokenApi(app, engine)

  return {
    app,
    async prepare() {
      if (dialects.includes('tokenapi')) await makeTokenPool(engine, tokens)
    },
    announceStop() {
      state.stopping = true
    },
    drain() {
      state.stopping = true
      state.draining = true
      engine.drain()
    }
  }
}

/** What does not work while the service does. */
function warningsOf({ trail }: AppOptions): string[] {
  return trail?.fault === undefined ? [] : [`the audit trail can not be written: ${trail.fault}`]
}
