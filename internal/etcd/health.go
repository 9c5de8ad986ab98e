package etcd

import (
	"fmt"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// verdicts in the order in which they are asked: the worst first.
var verdicts = []func(*view, Step) (reason, message string){
	(*view).isLost, (*view).isUnknown, (*view).isCorrupt, (*view).isFull, (*view).lacksSnapshot, (*view).isReplacing, (*view).isAway,
	(*view).isStrange,
}

// Health judges a guest's etcd, given what Next says of it. It returns false while a member has been
// away so shortly that there is nothing to say yet.
func Health(f Facts, step Step) (metav1.Condition, bool) {
	v := newView(f)
	for _, verdict := range verdicts {
		reason, message := verdict(v, step)
		if reason == "" {
			continue
		}
		status := metav1.ConditionFalse
		if reason == v1alpha1.ReasonEtcdUnknown {
			status = metav1.ConditionUnknown
		}
		return condition(status, reason, message), !v.fresh(reason)
	}
	return condition(metav1.ConditionTrue, v1alpha1.ReasonEtcdHealthy, "every member serves"), true
}

func condition(status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: v1alpha1.ConditionEtcdHealthy, Status: status, Reason: reason, Message: message}
}

// fresh tells whether bad news is so young that it may be a restart.
func (v *view) fresh(reason string) bool {
	if reason != v1alpha1.ReasonMemberMissing && reason != v1alpha1.ReasonEtcdUnknown {
		return false
	}
	for _, zone := range v.Zones {
		if at, ok := v.Memory.AwaySince[zone.Name]; ok && v.Now.Sub(at) >= awayGrace {
			return false
		}
	}
	return len(v.Memory.AwaySince) > 0
}

// isLost: so many members lost their data that the others are no quorum.
func (v *view) isLost(Step) (string, string) {
	var lost []string
	for _, zone := range v.Zones {
		if v.lost(zone) && !learns(v.members[zone.Name]) {
			lost = append(lost, fmt.Sprintf("%s (%s)", zone.Name, zone.Component.LastExit))
		}
	}
	if v.Listed || len(v.Zones)-len(lost) > len(v.Zones)/2 {
		return "", ""
	}
	return v1alpha1.ReasonDataLost, fmt.Sprintf(
		"the data of zone %s is lost, and what is left is no quorum: nothing is started on it; bring back the volumes, or restore a snapshot",
		strings.Join(lost, ", "))
}

func learns(m *Member) bool { return m != nil && m.Learner }

func (v *view) isUnknown(Step) (string, string) {
	if v.Listed {
		return "", ""
	}
	return v1alpha1.ReasonEtcdUnknown, "no quorum answers: " + v.zonesAway()
}

func (v *view) isCorrupt(step Step) (string, string) {
	for _, alarm := range v.Alarms {
		if alarm.Kind != Corrupt {
			continue
		}
		message := "the data of the members differs, and etcd serves none until that is repaired"
		if len(v.alarmed(Corrupt)) != 1 {
			return v1alpha1.ReasonCorrupt, message + "; it cannot tell which of them is right: compare them by hand ('etcdctl endpoint hashkv'), and remove the data of the wrong one"
		}
		return v1alpha1.ReasonCorrupt, message + "; " + said(step)
	}
	return "", ""
}

func (v *view) isFull(step Step) (string, string) {
	if len(v.alarmed(NoSpace)) == 0 {
		return "", ""
	}
	return v1alpha1.ReasonNoSpace, "writes are refused; " + said(step)
}

func (v *view) lacksSnapshot(step Step) (string, string) {
	failing := v.Memory.SnapshotError
	if failing == "" || (step.Kind != Snapshot && !strings.Contains(step.Reason, failing)) {
		return "", ""
	}
	return v1alpha1.ReasonSnapshotFailed, "no snapshot could be stored, and the next step waits for one: " + failing
}

func (v *view) isReplacing(step Step) (string, string) {
	replacing := step.Kind == Remove || step.Kind == AddLearner || step.Kind == Discard || step.Kind == Promote
	for _, zone := range v.Zones {
		m := v.members[zone.Name]
		replacing = replacing || m == nil || m.Learner || v.lost(zone)
	}
	if !replacing {
		return "", ""
	}
	switch {
	case !v.Store:
		return v1alpha1.ReasonMemberReplacing, said(step) + "; there is no store of snapshots, so none was taken before"
	case v.SnapshotsRefused != "":
		return v1alpha1.ReasonMemberReplacing, said(step) + "; snapshots are refused, so none was taken before: " + v.SnapshotsRefused
	}
	return v1alpha1.ReasonMemberReplacing, said(step)
}

func (v *view) isAway(Step) (string, string) {
	if len(v.absent()) == 0 {
		return "", ""
	}
	return v1alpha1.ReasonMemberMissing, v.zonesAway() + ": it is waited for; its data is not known to be lost"
}

func (v *view) isStrange(step Step) (string, string) {
	if len(v.strange) == 0 {
		return "", ""
	}
	return v1alpha1.ReasonEtcdUnknown, step.Reason
}

// zonesAway says how the members are that do not serve.
func (v *view) zonesAway() string {
	var list []string
	for _, zone := range v.Zones {
		if v.answers(zone) {
			continue
		}
		how := []string{string(zone.Component.State)}
		for _, more := range []string{zone.Component.LastExit, zone.Component.Message} {
			if more != "" && !zone.Component.Ready {
				how = append(how, more)
			}
		}
		list = append(list, fmt.Sprintf("zone %s does not answer (%s)", zone.Name, strings.Join(how, ": ")))
	}
	return strings.Join(list, ", ")
}

// said puts a step into words.
func said(step Step) string {
	if step.Kind == Wait || step.Kind == Nothing {
		return step.Reason
	}
	text := string(step.Kind)
	if step.Zone != "" {
		text += " zone " + step.Zone
	}
	return text + ": " + step.Reason
}

// Roles are what to report of the members, by zone.
func Roles(f Facts) []v1alpha1.EtcdMember {
	v := newView(f)
	var list []v1alpha1.EtcdMember
	for _, zone := range f.Zones {
		member := v1alpha1.EtcdMember{Zone: zone.Name, Role: v1alpha1.EtcdMissing}
		m := v.members[zone.Name]
		if m != nil {
			member.ID = strconv.FormatUint(m.ID, 16)
		}
		for _, alarm := range f.Alarms {
			if m != nil && alarm.Member == m.ID {
				member.Alarm = string(alarm.Kind)
			}
		}
		if v.answers(zone) {
			member.DatabaseBytes, member.DatabaseInUseBytes = zone.Status.Bytes, zone.Status.InUse
			switch {
			case m.Learner:
				member.Role = v1alpha1.EtcdLearner
			case v.leads(zone):
				member.Role = v1alpha1.EtcdLeader
			default:
				member.Role = v1alpha1.EtcdFollower
			}
		}
		list = append(list, member)
	}
	return list
}
