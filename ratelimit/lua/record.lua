-- Part: a job's hash. Its fields have one letter and its grants are packed so
-- that the hash stays a listpack: a week of jobs is kept.
--
--   d digest   s sender   k customer   a latest attempt seen   c cancel flag
--   q priority|attempt|pool       marked as waiting
--   o attempt|outcome|reason      an end decided here that the log has not told yet
--   x attempt|status              the end that the log told
-- and for attempt n:
--   gn state|given|delay|counted|token    the grant; send at given + delay
--   wn score|back|back                    its place, and how far below its score
--                                         the sender's and the pool's stood before
--   pn pool   in SID
--
-- States of a grant: r reserved (no token yet), g granted, d delivered,
-- b given back.

local function unpack_grant(packed, place, pool, sid)
  if not packed then
    return nil
  end
  local state, given, delay, counted, token = string.match(packed, '^(%a)|(%d+)|(%d+)|(%d)|(.*)$')
  local grant = {
    state = state, given = tonumber(given), counted = counted == '1',
    token = token, pool = pool or '', sid = set(sid),
  }
  grant.at = grant.given + tonumber(delay)
  if set(place) then
    local score, sender_back, pool_back = string.match(place, '^(%d+)|(%d*)|(%d*)$')
    grant.score = tonumber(score)
    grant.sender_back = set(sender_back) and grant.score - tonumber(sender_back)
    grant.pool_back = set(pool_back) and grant.score - tonumber(pool_back)
  end
  return grant
end

local function pack_place(grant)
  local function below(back)
    return back and us(grant.score - back) or ''
  end
  return grant.score and us(grant.score) .. '|' .. below(grant.sender_back) .. '|' .. below(grant.pool_back) or ''
end

-- Reads a job and the grant of one attempt; without an attempt, the latest.
local function read(hash, attempt)
  attempt = attempt or tonumber(call('HGET', hash, 'a') or '1')
  local n = us(attempt)
  local f = call('HMGET', hash, 'd', 's', 'k', 'a', 'c', 'q', 'o', 'x', 'g' .. n, 'w' .. n, 'p' .. n, 'i' .. n)
  local job = {
    hash = hash, attempt = attempt, digest = set(f[1]), sender = set(f[2]), customer = set(f[3]),
    latest = tonumber(f[4] or '0'), canceled = f[5] == '1', mark = set(f[6]),
    grant = unpack_grant(f[9], f[10], f[11], f[12]),
  }
  job.decided_for, job.outcome, job.reason = string.match(f[7] or '', '^(%d+)|([^|]*)|(.*)$')
  job.ended_with, job.status = string.match(f[8] or '', '^(%d+)|(.*)$')
  job.decided_for = tonumber(job.decided_for or '0')
  job.ended_with = tonumber(job.ended_with or '0')
  return job
end

-- Writes who the job is, and the grant of the attempt if it has one. An attempt
-- above the one that the job ended with is a new life: the end is forgotten, and
-- the job no longer expires.
local function save(job)
  local grant, n = job.grant, us(job.attempt)
  local fields = { 'd', job.digest, 's', job.sender, 'k', job.customer, 'a', us(math.max(job.latest, job.attempt)) }
  if grant then
    fields[9], fields[10] = 'g' .. n, string.format('%s|%.0f|%.0f|%s|%s', grant.state, grant.given,
      grant.at - grant.given, grant.counted and '1' or '0', grant.token)
    fields[11], fields[12] = 'p' .. n, grant.pool
    fields[13], fields[14] = 'w' .. n, pack_place(grant)
  end
  call('HSET', job.hash, unpack(fields))
  if job.attempt <= job.ended_with or job.attempt <= job.decided_for then
    return
  end
  if job.status or job.outcome then
    call('HDEL', job.hash, 'o', 'x')
  end
  call('PERSIST', job.hash)
end

-- Gives a reservation that nobody took over back, and forgets it.
local function drop_reservation(job)
  if not job.grant or job.grant.state ~= 'r' then
    return
  end
  give_back(job, job.grant)
  local n = us(job.attempt)
  call('HDEL', job.hash, 'g' .. n, 'w' .. n, 'p' .. n)
  job.grant = nil
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
