/** Where an engine tells what it does to whoever runs it. */
export interface Log {
  info(members: object, message: string): void
  warn(members: object, message: string): void
  error(members: object, message: string): void
}
