-- activate: a key is marked as in use, once.
-- ARGV 3 id
-- Answers activated (this call did it) or living, with the key; unknown-key; unknown-pool. O(log n).
function verbs.activate(a)
  local record = find(a[1])
  if not record then return { 'unknown-key' } end
  if record[ACTIVATED_AT] ~= 0 then return shown('living', a[1], record, false) end
  record[ACTIVATED_AT] = now
  write(a[1], record)
  return shown('activated', a[1], record, false)
end
