-- What has become of the rows of one upload that were set aside?
--
-- A row that a correction has mended is resolved, whatever came back later; one that a person has closed without
-- is waived; the others are open, with the problems with which they came back last. With their upload's end
-- all of them end.
--
-- Reads: set_aside (the invalid rows of the upload), mended (source_row, correction, place), came_back_wrong
-- (corrects_row, correction, place, problems), waived (first_row, last_row, waived_by, waiver_reason, number),
-- ending (one row: superseded or withdrawn in `status` where the upload is, else null).
-- Order: none.
SELECT
    set_aside.upload,
    set_aside.source_row,
    set_aside.employee_id,
    set_aside.employee_name,
    set_aside.college_degree,
    set_aside.department,
    set_aside.job_role,
    set_aside.dmc_campus,
    set_aside.email,
    set_aside.phone_number,
    set_aside.performance_rating,
    set_aside.submission_date,
    set_aside.other_columns,
    CASE
        WHEN ending.status IS NOT NULL THEN ending.status
        WHEN last_mended.correction IS NOT NULL THEN 'resolved'
        WHEN last_waived.waived_by IS NOT NULL THEN 'waived'
        ELSE 'open'
    END AS status,
    CASE
        WHEN last_mended.correction IS NULL THEN coalesce(last_wrong.problems, set_aside.problems)
        ELSE set_aside.problems
    END AS problems,
    last_mended.correction AS corrected_by,
    CASE WHEN last_mended.correction IS NULL THEN last_wrong.correction END AS returned_in,
    last_waived.waived_by,
    last_waived.waiver_reason
FROM set_aside
CROSS JOIN ending
LEFT JOIN (
    SELECT source_row, max_by(correction, place) AS correction
    FROM mended
    GROUP BY source_row
) AS last_mended ON last_mended.source_row = set_aside.source_row
LEFT JOIN (
    SELECT corrects_row, max_by(correction, place) AS correction, max_by(problems, place) AS problems
    FROM came_back_wrong
    GROUP BY corrects_row
) AS last_wrong ON last_wrong.corrects_row = set_aside.source_row
LEFT JOIN (
    SELECT
        rows_waived.source_row,
        max_by(waived.waived_by, waived.number) AS waived_by,
        max_by(waived.waiver_reason, waived.number) AS waiver_reason
    FROM set_aside AS rows_waived
    JOIN waived ON rows_waived.source_row BETWEEN waived.first_row AND waived.last_row
    GROUP BY rows_waived.source_row
) AS last_waived ON last_waived.source_row = set_aside.source_row
