-- Binds a job id to its content and sender.
--
-- KEYS 1 job
-- ARGV 2 digest  3 sender  4 until when a copy of it lies somewhere, or nothing
-- Returns new, known or conflict; and the status of a job that has ended.

local digest, sender = ARGV[2], ARGV[3]
local held = call('HMGET', KEYS[1], 'd', 's', 'a', 'x')
if held[1] and (held[1] ~= digest or held[2] ~= sender) then
  return { 'conflict', '' }
end
if ARGV[4] ~= '' then
  call('HSET', KEYS[1], 'u', ARGV[4])
end
if held[1] then
  if ARGV[4] ~= '' and call('PTTL', KEYS[1]) > 0 then
    forget(KEYS[1], RETENTION)
  end
  local last, status = string.match(held[4] or '', '^(%d+)|(.*)$')
  return { 'known', last and tonumber(last) >= tonumber(held[3] or '0') and status or '' }
end
-- What is true now: the id is this job's. A crash before it is published leaves
-- a claim that the same request finds as its own, and that time forgets.
call('HSET', KEYS[1], 'd', digest, 's', sender)
forget(KEYS[1], RETENTION)
return { 'new', '' }
