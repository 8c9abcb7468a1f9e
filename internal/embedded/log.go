package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// serverLog passes what the NATS server says on to slog. Full disks and
// damaged files are told nowhere else. Its notices are chatter, hence debug.
type serverLog struct {
	log   *slog.Logger
	fatal atomic.Pointer[string] // what made the server give up
}

func newServerLog(log *slog.Logger) *serverLog {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &serverLog{log: log.With("component", "nats")}
}

// failure is what made the server give up, if it did: its methods return
// nothing.
func (l *serverLog) failure() error {
	if text := l.fatal.Load(); text != nil {
		return errors.New(*text)
	}
	return nil
}

func (l *serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.fatal.Store(&text)
	l.log.Error(text)
}

func (l *serverLog) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *serverLog) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Tracef(string, ...any)           {}
