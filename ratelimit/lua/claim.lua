-- Binds a job id to its content and sender.
--
-- KEYS 1 job
-- ARGV 2 digest  3 sender
-- Returns new, known or conflict.

local digest, sender = ARGV[2], ARGV[3]
local held = call('HMGET', KEYS[1], 'd', 's')
if held[1] and (held[1] ~= digest or held[2] ~= sender) then
  return 'conflict'
end
if held[1] then
  return 'known'
end
-- What is true now: the id is this job's. A crash before it is published leaves
-- a claim that the same request finds as its own, and that time forgets.
call('HSET', KEYS[1], 'd', digest, 's', sender)
call('PEXPIRE', KEYS[1], ms(RETENTION))
return 'new'
