package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

var clusterKind = v1alpha1.GroupVersion.WithKind("Cluster").GroupKind()

// invalid is the answer of an API server to an object that breaks rules.
func invalid(errs ...*field.Error) error { return apierrors.NewInvalid(clusterKind, "a", errs) }

func TestExplain(t *testing.T) {
	resource := schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "clusters"}
	refused := &url.Error{Op: "Get", URL: "https://127.80.0.1:6443/apis", Err: &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}
	cases := map[string]struct {
		reason string
		err    error
		code   int
		want   string
	}{
		"Rule": {
			reason: "a rule's own message is all that a person needs",
			err:    invalid(field.Invalid(field.NewPath("spec", "version"), "1.36", "version must have the form v1.N.P, for example v1.36.3")),
			code:   exitUsage, want: "create cluster a: the hub refuses it: spec.version: version must have the form v1.N.P, for example v1.36.3",
		},
		"ObjectRule": {
			reason: "the value of a rule on an object is the whole object: it is left out",
			err: invalid(field.Invalid(field.NewPath("spec", "network"), map[string]any{"podCIDR": "10.0.0.0/8", "serviceCIDR": "10.1.0.0/16"},
				"podCIDR and serviceCIDR overlap: choose two ranges that share no address")),
			code: exitUsage, want: "create cluster a: the hub refuses it: spec.network: podCIDR and serviceCIDR overlap: choose two ranges that share no address",
		},
		"Rules": {
			reason: "several are listed, without the API server's own remark",
			err: invalid(
				field.NotSupported(field.NewPath("spec", "availability"), "Triple", []string{"Single", "Zonal"}),
				field.Invalid(nil, "a", "a Cluster's name must be a DNS label"),
				field.Invalid(nil, nil, "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation")),
			code: exitUsage, want: "create cluster a: the hub refuses it:\n  spec.availability: Unsupported value: \"Triple\": supported values: \"Single\", \"Zonal\"\n  a Cluster's name must be a DNS label",
		},
		"Forbidden": {
			reason: "who may grant the right is said", err: apierrors.NewForbidden(resource, "a", errors.New("no")),
			code: exitFailure, want: `create cluster a: not allowed: clusters.fleet.myriad.dev "a" is forbidden: no; ask an operator for the right, or point --kubeconfig at credentials that have it`,
		},
		"Unauthorized": {
			reason: "expired credentials are renewed by up", err: apierrors.NewUnauthorized("no"),
			code: exitFailure, want: "create cluster a: the hub does not accept these credentials; run 'myriad up' to renew them, or point --kubeconfig at others",
		},
		"Conflict": {
			reason: "a conflict goes away by trying again", err: apierrors.NewConflict(resource, "a", errors.New("changed")),
			code: exitConflict, want: "create cluster a: somebody changed it at the same time; run the command again",
		},
		"Exists": {
			reason: "another name helps", err: apierrors.NewAlreadyExists(resource, "a"),
			code: exitConflict, want: "create cluster a: it exists already; choose another name, or delete that one first",
		},
		"Refused": {
			reason: "nothing listens: the fleet is down", err: refused,
			code: exitNoFleet, want: "create cluster a: the hub does not answer (dial tcp: connect: connection refused); is the fleet up? run 'myriad up'",
		},
		"NoKind": {
			reason: "the API is not installed yet", err: apierrors.NewGenericServerResponse(404, "GET", resource, "", "", 0, true),
			code: exitNoFleet, want: "create cluster a: the hub does not serve the fleet's API yet; run 'myriad up' and try again",
		},
		"Interrupted": {
			reason: "Ctrl-C is no failure of the hub", err: &url.Error{Op: "Get", URL: "https://127.80.0.1", Err: context.Canceled},
			code: exitInterrupted, want: `Get "https://127.80.0.1": context canceled`,
		},
		"Told": {
			reason: "an error with a code passes through", err: fail(exitNotReady, "later"),
			code: exitNotReady, want: "later",
		},
		"Other": {
			reason: "anything else says what was being done", err: errors.New("odd"),
			code: exitFailure, want: "create cluster a: odd",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := explain("create cluster a", tc.err)
			if diff := cmp.Diff(tc.want, got.Error()); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
			if code := codeOf(got); code != tc.code {
				t.Errorf("%s: exit code %d, want %d", tc.reason, code, tc.code)
			}
		})
	}
}

func TestCodeOf(t *testing.T) {
	cases := map[string]struct {
		err  error
		want int
	}{
		"Nil":      {nil, exitOK},
		"Plain":    {errors.New("x"), exitFailure},
		"Wrapped":  {fmt.Errorf("outer: %w", fail(exitNotFound, "x")), exitNotFound},
		"Canceled": {fmt.Errorf("outer: %w", context.Canceled), exitInterrupted},
		"Deadline": {fmt.Errorf("outer: %w", context.DeadlineExceeded), exitNotReady},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := codeOf(tc.err); got != tc.want {
				t.Errorf("exit code %d, want %d", got, tc.want)
			}
		})
	}
}

func TestNoKubeconfig(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{})
	empty := t.TempDir()
	f.want(exitNoFleet, "cluster", "list", "--home", empty)
	f.wantError("no fleet here: " + empty + "/kubeconfig does not exist; run 'myriad up', or point --home or --kubeconfig at a fleet")
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFixture(t, interceptor.Funcs{}, unready("waiting", v1alpha1.ReasonNoRoom, "no room"))
	f.clock.onWait = func(wait int) {
		if wait == 6 {
			cancel()
		}
	}
	if got := f.session.main(ctx, []string{"cluster", "wait", "waiting"}); got != exitInterrupted {
		t.Errorf("exit code %d, want %d", got, exitInterrupted)
	}
	if want := "[  1s] cluster waiting: NoRoom: no room\ninterrupted\n"; f.err.String() != want {
		t.Errorf("standard error %q, want %q", f.err.String(), want)
	}
}

func TestMissingNamespace(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{
		Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "team-z")
		},
	}, fleet()...)
	f.want(exitNotFound, "cluster", "create", "a", "--region", "cn-hangzhou", "-n", "team-z")
	f.wantError("create cluster a: namespace team-z does not exist; make it: kubectl --kubeconfig " + f.session.home + "/kubeconfig create namespace team-z")
}
