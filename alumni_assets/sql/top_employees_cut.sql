-- Where does the list of the top 100 employees of each department end?
--
-- alumni: how many work in the department; listed: how many of them are on the list; last_rating: the rating of the
-- last one on it. Of the alumni with that rating, listed_at_last are on the list and alumni_at_last are there in all:
-- where these differ the list is cut inside a tie, and only the names decide who is on it. excellent: how many of the
-- department's alumni are rated 5; excellent_share: the same as a share of its alumni, from 0 to 1.
--
-- Reads: alumni, top_employees. Order: by department.
SELECT
    alumni.department,
    count(*) AS alumni,
    max(cuts.listed) AS listed,
    max(cuts.last_rating) AS last_rating,
    max(cuts.listed_at_last) AS listed_at_last,
    count(CASE WHEN alumni.performance_rating = cuts.last_rating THEN 1 END) AS alumni_at_last,
    count(CASE WHEN alumni.performance_rating = 5 THEN 1 END) AS excellent,
    CAST(count(CASE WHEN alumni.performance_rating = 5 THEN 1 END) AS double) / count(*) AS excellent_share
FROM alumni
JOIN (
    SELECT
        listed.department,
        count(*) AS listed,
        max(lasts.last_rating) AS last_rating,
        count(CASE WHEN listed.performance_rating = lasts.last_rating THEN 1 END) AS listed_at_last
    FROM top_employees AS listed
    JOIN (
        SELECT department, min(performance_rating) AS last_rating
        FROM top_employees
        GROUP BY department
    ) AS lasts ON lasts.department = listed.department
    GROUP BY listed.department
) AS cuts ON cuts.department = alumni.department
GROUP BY alumni.department
ORDER BY alumni.department
