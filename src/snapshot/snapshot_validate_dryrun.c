/*
 * snapshot_validate_dryrun.c: does this host restore it?
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The last level of a validation, and what its answers mean for the verdict.
 */

#include "config.h"

#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "snapshot/snapshot_validatepriv.h"

/**
 * virtHptValidationWants:
 * @validation: a validation
 * @level: a level of it
 *
 * Returns: whether it is to be run
 */
gboolean
virtHptValidationWants(const VirtHptValidation *validation, VirtHptLevel level)
{
    return !(validation->options->skip & (1U << level));
}

/**
 * virtHptValidationDropState:
 * @validation: a validation, whose machine state and dry run are dropped
 */
void
virtHptValidationDropState(VirtHptValidation *validation)
{
    g_clear_pointer(&validation->dryRun, virtHptDryRunFree);
    if (validation->state >= 0)
        close(validation->state);
    validation->state = -1;
}

/* A level that cannot be run is an error only where it is asked for; @doubt: whether it is a
 * warning otherwise, since it was tried. */
static gboolean
skipDryRun(VirtHptValidation *validation,
           VirtHptError reason,
           const char *code,
           char *message,
           const char *advice,
           gboolean doubt,
           GError **error)
{
    if (validation->options->require & (1U << VIRT_HPT_LEVEL_DRY_RUN)) {
        g_set_error(error, VIRT_HPT_ERROR, (int)reason, _("no dry run: %1$s"), message);
        g_free(message);
        return FALSE;
    }
    if (doubt)
        virtHptVerdictAddUnchecked(validation->verdict, VIRT_HPT_LEVEL_DRY_RUN, code, message,
                                   advice);
    else
        virtHptVerdictAdd(validation->verdict, VIRT_HPT_LEVEL_DRY_RUN, VIRT_HPT_RESULT_NOT_CHECKED,
                          code, message, advice);
    return TRUE;
}

static char *
describeRefusal(const VirtHptDryRunReport *report)
{
    return g_strdup_printf(report->outcome == VIRT_HPT_DRY_RUN_REFUSED
                               ? _("this host refuses to restore it: %1$s")
                               : _("the dry run says nothing: %1$s"),
                           report->message);
}

static char *
describePartial(const VirtHptDryRunReport *report)
{
    return g_strdup_printf(
        _("this host's libvirt and QEMU take its HPT and its devices up to '%1$s', which they compare with RAM contents that a dry run has not; that one and those behind it were not checked: %2$s"),
        report->device ? report->device : "?", report->message);
}

static gboolean
judgeDryRun(VirtHptValidation *validation, const VirtHptDryRunReport *report, GError **error)
{
    VirtHptVerdict *verdict = validation->verdict;

    if (report->fallback && report->outcome != VIRT_HPT_DRY_RUN_UNKNOWN)
        virtHptVerdictAdd(
            verdict, VIRT_HPT_LEVEL_DRY_RUN, VIRT_HPT_RESULT_PASSED, "dry-run-tcg",
            g_strdup(_("this host has no KVM for the guest: TCG stood in for it, which says less")),
            _("validate it on the host that will run it"));
    switch (report->outcome) {
    case VIRT_HPT_DRY_RUN_RESTORED:
        virtHptVerdictAdd(
            verdict, VIRT_HPT_LEVEL_DRY_RUN, VIRT_HPT_RESULT_PASSED, report->code,
            g_strdup(_("this host's libvirt and QEMU restore its machine state and HPT")), NULL);
        if (report->uncheckedQueues > 0)
            virtHptVerdictAdd(
                verdict, VIRT_HPT_LEVEL_DRY_RUN, VIRT_HPT_RESULT_NOT_CHECKED,
                "virtqueues-not-checked",
                g_strdup_printf(
                    ngettext("%1$u queue of its devices was not compared with its ring in RAM",
                             "%1$u queues of its devices were not compared with their rings in RAM",
                             report->uncheckedQueues),
                    report->uncheckedQueues),
                NULL);
        return TRUE;
    case VIRT_HPT_DRY_RUN_PARTIAL:
        virtHptVerdictAdd(verdict, VIRT_HPT_LEVEL_DRY_RUN, VIRT_HPT_RESULT_WARNED, report->code,
                          describePartial(report), report->advice);
        return TRUE;
    case VIRT_HPT_DRY_RUN_REFUSED:
        /* TCG lacks what KVM has */
        virtHptVerdictAdd(verdict, VIRT_HPT_LEVEL_DRY_RUN,
                          report->fallback ? VIRT_HPT_RESULT_WARNED : VIRT_HPT_RESULT_FAILED,
                          report->code, describeRefusal(report), report->advice);
        return TRUE;
    case VIRT_HPT_DRY_RUN_UNKNOWN:
        return skipDryRun(validation, VIRT_HPT_ERROR_FAILED, report->code, describeRefusal(report),
                          report->advice, TRUE, error);
    }
    g_return_val_if_reached(FALSE);
}

/**
 * virtHptValidationWantsState:
 * @validation: a validation
 *
 * Returns: whether the machine state is to be kept for a dry run
 */
gboolean
virtHptValidationWantsState(const VirtHptValidation *validation)
{
    return virtHptValidationWants(validation, VIRT_HPT_LEVEL_DRY_RUN) && geteuid() == 0;
}

/**
 * virtHptValidationBeginDryRun:
 * @validation: a validation
 * @record: what is going to be validated
 *
 * Begins the dry run while other levels have yet to be run: opening libvirt takes as long as they
 * do.  What stands against it is said when its turn comes.
 */
void
virtHptValidationBeginDryRun(VirtHptValidation *validation, const VirtHptRecord *record)
{
    if (virtHptValidationWantsState(validation) && record->def->domainXml)
        validation->dryRun = virtHptDryRunBegin(record->path, record->def->domainXml,
                                                validation->options->timeout, NULL);
}

/**
 * virtHptValidationDryRun:
 * @validation: a validation, with a machine state where one was wanted
 * @subject: what is validated, after all other levels
 * @error: set on failure, as virtHptValidate() does
 *
 * Runs the level 'dry-run', if it is wanted.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptValidationDryRun(VirtHptValidation *validation,
                        const VirtHptSubject *subject,
                        GError **error)
{
    const char *xml = subject->image ? subject->image->domainXml : subject->record->def->domainXml;
    g_autoptr(VirtHptDryRunReport) report = NULL;

    if (!virtHptValidationWants(validation, VIRT_HPT_LEVEL_DRY_RUN))
        return TRUE;
    /* QEMU takes much that is wrong, and dies of some */
    if (validation->verdict->result == VIRT_HPT_RESULT_FAILED) {
        virtHptVerdictAdd(validation->verdict, VIRT_HPT_LEVEL_DRY_RUN, VIRT_HPT_RESULT_NOT_CHECKED,
                          "dry-run-pointless", g_strdup(_("it failed already: no dry run")), NULL);
        return TRUE;
    }
    if (!xml)
        return skipDryRun(validation, VIRT_HPT_ERROR_UNSUPPORTED, "dry-run-no-domain",
                          g_strdup(_("a migration stream has no domain XML to restore it with")),
                          NULL, FALSE, error);
    if (validation->state < 0)
        return skipDryRun(validation, VIRT_HPT_ERROR_FAILED, "dry-run-not-root",
                          g_strdup(_("a dry run needs root")), NULL, FALSE, error);
    if (!validation->dryRun)
        validation->dryRun =
            virtHptDryRunBegin(subject->path, xml, validation->options->timeout, error);
    if (validation->dryRun)
        report = virtHptDryRunFinish(validation->dryRun, validation->state, subject->table, error);
    if (!report && error && *error)
        g_prefix_error(error, "%s", _("no dry run (without: --no-dry-run): "));
    return report && judgeDryRun(validation, report, error);
}
