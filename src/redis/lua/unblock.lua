-- unblock: ends the lease or the cooling of a key, whoever has it; with a fence, only that lease.
-- ARGV 3 id, 4 fence or ''
-- Answers unblocked; unknown-key; key-not-leased; lease-lost; unknown-pool. O(log n).
function verbs.unblock(a)
  local id, fence = a[1], tonumber(a[2])
  local record = find(id)
  if not record then return { 'unknown-key' } end
  if record[STATE] == FREE then return { 'key-not-leased' } end
  if fence and record[FENCE] ~= fence then return { 'lease-lost' } end
  record[UNTIL] = now
  free(id, record)
  write(id, record)
  return { 'unblocked' }
end
