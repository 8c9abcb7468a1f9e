-- Part: what becomes of a place when more is known of its attempt.

-- Moves a grant's place forward to a later proof of the send. Older proof still
-- makes the place its own where another attempt has written since: should that
-- attempt fail, it must not take this one's place along.
local function refresh(job, grant, at, present)
  if at <= cutoff then
    return
  end
  local in_sender = score_of(SENDER_WINDOW_KEY .. job.sender, job.customer)
  local in_pool = score_of(POOL_WINDOW_KEY .. grant.pool, job.customer)
  local own = grant.score and in_sender == grant.score and in_pool == grant.score
  if own and at <= grant.score then
    return
  end
  count(job, grant, at, in_sender, in_pool, present)
end

-- Ends an attempt that certainly was not delivered. A delivered one stays, and
-- one given back before stays so: repeating changes nothing.
local function fail(job)
  if not job.grant or job.grant.state ~= 'g' then
    return
  end
  give_back(job, job.grant)
  job.grant.state = 'b'
  save(job)
end
