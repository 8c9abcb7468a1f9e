-- Moves the place of an attempt forward to now: the provider may have taken its
-- message at any moment since the grant.
--
-- KEYS 1 job
-- ARGV 2 attempt  3 token
-- Returns 1 if token holds the attempt's grant, else 0.

local job = recall(KEYS[1], tonumber(ARGV[2]))
local grant = job.grant
if not grant or grant.token ~= ARGV[3] or grant.state ~= 'g' then
  return 0
end
if grant.counted then
  refresh(job, grant, now, set(call('HGET', SENDER_KEY .. job.sender, 'member')))
  save(job)
end
return 1
