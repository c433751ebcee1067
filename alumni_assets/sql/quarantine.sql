-- What has become of the rows of some uploads that were set aside?
--
-- A row that a correction has mended is resolved, whatever came back later; one that a person has closed without
-- is waived; the others are open, with the problems with which they came back last. With their upload's end
-- all of them end.
--
-- Reads: set_aside (the invalid rows of the uploads), mended (upload, source_row, correction, place), came_back_wrong
-- (upload, corrects_row, correction, place, problems), waived (upload, first_row, last_row, waived_by, waiver_reason,
-- number), ending (for each upload a row: superseded or withdrawn in `status` where it is, else null).
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
JOIN ending ON ending.upload = set_aside.upload
LEFT JOIN (
    SELECT upload, source_row, max_by(correction, place) AS correction
    FROM mended
    GROUP BY upload, source_row
) AS last_mended ON last_mended.upload = set_aside.upload AND last_mended.source_row = set_aside.source_row
LEFT JOIN (
    SELECT upload, corrects_row, max_by(correction, place) AS correction, max_by(problems, place) AS problems
    FROM came_back_wrong
    GROUP BY upload, corrects_row
) AS last_wrong ON last_wrong.upload = set_aside.upload AND last_wrong.corrects_row = set_aside.source_row
LEFT JOIN (
    SELECT
        rows_waived.upload,
        rows_waived.source_row,
        max_by(waived.waived_by, waived.number) AS waived_by,
        max_by(waived.waiver_reason, waived.number) AS waiver_reason
    FROM set_aside AS rows_waived
    JOIN waived
        ON waived.upload = rows_waived.upload
        AND rows_waived.source_row BETWEEN waived.first_row AND waived.last_row
    GROUP BY rows_waived.upload, rows_waived.source_row
) AS last_waived ON last_waived.upload = set_aside.upload AND last_waived.source_row = set_aside.source_row
