-- Lets go of a job id that was claimed and never used.
--
-- KEYS 1 job
-- ARGV 2 digest  3 sender
-- Returns 1, or 0 if the id is another's or something has come of it.

local held = call('HMGET', KEYS[1], 'd', 's', 'a', 'c', 'x')
if held[1] ~= ARGV[2] or held[2] ~= ARGV[3] or held[3] or held[4] or held[5] then
  return 0
end
call('DEL', KEYS[1])
return 1
