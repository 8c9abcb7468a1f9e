package main

import (
	"context"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluicehq/sluice/internal/jobstream"
)

// boundsEvery is how often what may run full is looked at.
const boundsEvery = time.Second

// watchRoom keeps full up to date: at SLUICE_WAIT_MAX dispatchers fetch no
// fresh jobs, the queue fills up, and publishers are refused clearly.
func (s *system) watchRoom(full *atomic.Bool) task {
	return func(ctx context.Context) error {
		return every(ctx, boundsEvery, func() {
			size, err := s.room.Size(ctx)
			if err != nil {
				return // said by those who need the room
			}
			if now := size >= uint64(s.cfg.WaitMax); full.Swap(now) != now {
				says := "the waiting room has room again"
				if now {
					says = "the waiting room is full: no fresh jobs are fetched"
				}
				s.logger.WarnContext(ctx, says, "jobs", size, "SLUICE_WAIT_MAX", s.cfg.WaitMax)
			}
		})
	}
}

// watchDisk makes the queue refuse new jobs while less than SLUICE_DISK_RESERVE
// of the embedded NATS's disk is free. The rest is for what is already accepted,
// its events and the moves of its jobs: an engine that cannot write any more
// refuses everything.
func (s *system) watchDisk(ctx context.Context) error {
	refusing := false
	return every(ctx, boundsEvery, func() {
		free, err := freeBytes(s.cfg.Data)
		if err != nil || (free < uint64(s.cfg.DiskReserve)) == refusing {
			return
		}
		change := func() error { return jobstream.Accept(ctx, s.engines.js, s.cfg.queue()) }
		if !refusing {
			change = func() error { return jobstream.Refuse(ctx, s.engines.js) }
		}
		if err := change(); err != nil {
			s.logger.ErrorContext(ctx, "queue not opened or closed for the disk's sake, trying again", "error", err)
			return
		}
		refusing = !refusing
		says := "the disk of the embedded NATS has room again"
		if refusing {
			says = "the disk of the embedded NATS is nearly full: no new jobs are taken"
		}
		s.logger.WarnContext(ctx, says, "free_bytes", free, "SLUICE_DISK_RESERVE", s.cfg.DiskReserve)
	})
}

func freeBytes(dir string) (uint64, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return 0, err
	}
	return disk.Bavail * uint64(disk.Bsize), nil
}

// every calls f at once and then in intervals, until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
