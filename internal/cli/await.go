package cli

import (
	"context"
	"fmt"
	"time"
)

// check looks once at what is being waited for. State says in words how far it is.
type check func(ctx context.Context) (state string, done bool, err error)

// await looks until the check is done, fails, or the session's timeout is over. A hub that does not
// answer is asked again: it may be restarting. It returns the time that was spent.
func (s *session) await(ctx context.Context, what, next string, look check) (time.Duration, error) {
	progress := s.newProgress()
	defer progress.Stop()
	for {
		state, done, err := look(ctx)
		switch {
		case ctx.Err() != nil:
			return progress.Elapsed(), fmt.Errorf("%s: %w", what, ctx.Err())
		case isUnreachable(err):
			state = "the hub does not answer; asking again"
		case err != nil:
			return progress.Elapsed(), explain(what, err)
		case done:
			return progress.Elapsed(), nil
		}
		progress.Stepf("%s: %s", what, state)
		if s.clock.Since(progress.start) >= s.timeout {
			return progress.Elapsed(), fail(exitNotReady, "%s: not done after %s: %s; %s", what, s.timeout, state, next)
		}
		select {
		case <-ctx.Done():
			return progress.Elapsed(), fmt.Errorf("%s: %w", what, ctx.Err())
		case <-s.clock.After(pollInterval):
		}
	}
}
