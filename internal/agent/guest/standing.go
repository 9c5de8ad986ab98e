package guest

import (
	"bytes"
	"maps"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// standing is what a manifest that the runtime holds was made from. As long as it holds nothing needs to be rendered,
// no certificate checked: that is most of what a look at a guest costs, and most looks find nothing new.
type standing struct {
	order    *v1alpha1.ControlPlaneSpec // Orders gives the same one until it changes
	starts   starts
	identity pki.Identity
	given    []string  // names of the components
	renewAt  time.Time // when the first of the certificates is due
	until    time.Time // everything is looked at now and then, for what changed on disk
}

// holds tells whether a look would find the same again.
func (k *standing) holds(s *scope, now time.Time) bool {
	return k != nil && k.order == s.facts.Order && now.Before(k.until) && (k.renewAt.IsZero() || now.Before(k.renewAt)) &&
		k.until.Sub(now) <= lookAgain && // a clock that was turned back says nothing
		maps.Equal(k.starts, s.starts) && maps.EqualFunc(k.identity, s.identity, bytes.Equal) && !lost(s.facts.Observation, k.given)
}
