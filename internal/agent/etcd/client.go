package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	plan "github.com/myriad-fleet/myriad/internal/etcd"
	"github.com/myriad-fleet/myriad/internal/pki"
)

const (
	// user that the keeper's certificates name. etcd has no users of its own here: its authority makes
	// certificates for the guest's API servers and for us only.
	user = "myriad:agent"
	// lifetime of a certificate, which is kept in memory and made anew at half of it.
	lifetime = time.Hour
	// answerTime is what a member may take to say how it is, and a quorum to say who is in it.
	answerTime = 3 * time.Second
)

// credentials of the keeper for one guest.
type credentials struct {
	config *tls.Config
	until  time.Time
}

func newCredentials(identity pki.Identity, now time.Time) (*credentials, error) {
	authority, err := identity.Authority(string(controlplane.EtcdCA))
	if err != nil {
		return nil, err
	}
	certificate, key, err := authority.Issue(pki.Leaf{CommonName: user, Client: true, Lifetime: lifetime}, now)
	if err != nil {
		return nil, fmt.Errorf("issue the agent's certificate for etcd: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("read the agent's certificate for etcd: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.Certificate)
	return &credentials{until: now.Add(lifetime / 2), config: &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS13,
		// Another look at the same member costs no signatures.
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}}, nil
}

// dial makes a client of one member. It connects when it is first used.
func dial(ctx context.Context, host string, config *tls.Config) (*clientv3.Client, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"https://" + net.JoinHostPort(host, strconv.Itoa(controlplane.EtcdClientPort))},
		TLS:       config, Context: ctx, Logger: zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("make a client of etcd at %s: %w", host, err)
	}
	return client, nil
}

// status asks one member how it is. Alarms are listed apart: that costs a write.
func status(ctx context.Context, client *clientv3.Client) (*plan.Status, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	answer, err := client.Status(ctx, client.Endpoints()[0])
	if err != nil {
		return nil, false, err
	}
	return &plan.Status{
		ID: answer.Header.MemberId, Leader: answer.Leader, Bytes: answer.DbSize, InUse: answer.DbSizeInUse,
		Quota: answer.DbSizeQuota, Revision: answer.Header.Revision,
	}, len(answer.Errors) > 0, nil
}

// list asks a member for all, which it answers with the agreement of a quorum.
func list(ctx context.Context, client *clientv3.Client) ([]plan.Member, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	answer, err := client.MemberList(ctx)
	if err != nil {
		return nil, err
	}
	var members []plan.Member
	for _, m := range answer.Members {
		members = append(members, plan.Member{ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, Learner: m.IsLearner})
	}
	return members, nil
}

func alarms(ctx context.Context, client *clientv3.Client) ([]plan.Alarm, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	answer, err := client.AlarmList(ctx)
	if err != nil {
		return nil, err
	}
	var raised []plan.Alarm
	for _, a := range answer.Alarms {
		raised = append(raised, plan.Alarm{Member: a.MemberID, Kind: plan.AlarmKind(a.Alarm.String())})
	}
	return raised, nil
}

// disarm takes back an alarm of one member, or of all when member is 0.
func disarm(ctx context.Context, client *clientv3.Client, member uint64, kind plan.AlarmKind) error {
	raised, err := client.AlarmList(ctx)
	if err != nil {
		return err
	}
	of := slices.DeleteFunc(raised.Alarms, func(a *etcdserverpb.AlarmMember) bool {
		return a.Alarm.String() != string(kind) || (member != 0 && a.MemberID != member)
	})
	var failed error
	for _, a := range of {
		_, err := client.AlarmDisarm(ctx, (*clientv3.AlarmMember)(a))
		failed = errors.Join(failed, err)
	}
	return failed
}
