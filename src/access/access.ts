import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import { AuditTrail } from './audit-trail.ts'
import { type Certificate, type CertificateFiles, readCertificate } from './certificate.ts'
import { TokenFile } from './token-file.ts'

/** Each is off where it is undefined. */
export interface AccessConfig {
  /** The path of the tokens. */
  authFile?: string | undefined
  /** Where the audit trail goes: the path of a file, or a descriptor. */
  audit?: string | number | undefined
  tls?: CertificateFiles | undefined
}

/** What the service needs to know who calls, to tell who did what, and to be talked to in private. */
export class Access {
  readonly tokens: TokenFile | undefined
  readonly trail: AuditTrail | undefined
  readonly certificate: Certificate | undefined
  readonly #config: AccessConfig
  readonly #log: Log

  private constructor(
    config: AccessConfig,
    log: Log,
    [tokens, trail, certificate]: [TokenFile | undefined, AuditTrail | undefined, Certificate | undefined]
  ) {
    this.#config = config
    this.#log = log
    this.tokens = tokens
    this.trail = trail
    this.certificate = certificate
  }

  /** Rejects with all that is wrong, by variable and file. */
  static async open(config: AccessConfig, clock: Clock, log: Log): Promise<Access> {
    const { authFile, audit, tls } = config
    const opened = await Promise.allSettled([
      authFile === undefined ? undefined : openTokens(authFile, clock, log),
      audit === undefined ? undefined : openTrail(audit, clock, log),
      tls === undefined ? undefined : readCertificate(tls)
    ])
    const names = [`KEYPOOL_AUTH_FILE (${authFile})`, `KEYPOOL_AUDIT (${audit})`, 'KEYPOOL_TLS_CERT, KEYPOOL_TLS_KEY']
    const wrong = opened.flatMap((one, i) => (one.status === 'rejected' ? linesOf(names[i], one.reason) : []))
    const [tokens, trail, certificate] = opened.map(one => (one.status === 'fulfilled' ? one.value : undefined)) as [
      TokenFile | undefined,
      AuditTrail | undefined,
      Certificate | undefined
    ]
    if (wrong.length === 0) return new Access(config, log, [tokens, trail, certificate])
    tokens?.close()
    await trail?.close()
    throw new Error(wrong.join('\n'))
  }

  /** Reads all files again, as after SIGHUP. What is wrong with them is told, and changes nothing. */
  async reload(serve: (certificate: Certificate) => void): Promise<void> {
    const { tls } = this.#config
    await this.trail?.reopen()
    await this.tokens?.check()
    if (tls === undefined) return
    try {
      serve(await readCertificate(tls))
      this.#log.info({}, 'the certificate was read again; connections that are open go on with the last one')
    } catch (error) {
      this.#log.error({}, linesOf('the certificate stays as it is, for the new one is wrong', error).join('\n'))
    }
  }

  /** Resolves when the audit trail is written. */
  async close(): Promise<void> {
    this.tokens?.close()
    await this.trail?.close()
  }
}

function openTokens(path: string, clock: Clock, log: Log): Promise<TokenFile> {
  return TokenFile.open({
    path,
    clock,
    onReload: size => log.info({}, `the tokens were read again: ${size} are in force`),
    onWrong: reason => {
      log.error(
        {},
        linesOf(`the tokens stay as they are, for the new version of ${path} is wrong`, { message: reason }).join('\n')
      )
    }
  })
}

function openTrail(destination: string | number, clock: Clock, log: Log): Promise<AuditTrail> {
  return AuditTrail.open({
    destination,
    clock,
    onFault: ({ message }) => log.error({}, `the audit trail can not be written: ${message}`)
  })
}

function linesOf(title: string | undefined, error: unknown): string[] {
  return [`${title}:`, ...(error as Error).message.split('\n').map(line => `  ${line}`)]
}
